with listed as (
  select 'evolux' as vendor, 'queue' as queue_kind, cast(id as text) as queue_id, name as queue_name
  from {{ ref('stg_evolux__queues') }}
  union all
  select 'hostedsuite', 'client', id, name
  from {{ ref('stg_hostedsuite__clients') }}
),
contacts as (
  select vendor, queue_kind, queue_id, queue_name, started_at, contact_key from {{ ref('contacts_made') }}
  union all
  select vendor, 'campaign', campaign_id, campaign_name, started_at, contact_key from {{ ref('contacts_made') }}
),
met as (
  select vendor, queue_kind, queue_id, {{ trunkline.latest('queue_name') }} as queue_name,
    min(started_at) as first_contact_at, max(started_at) as last_contact_at, count(*) as contacts
  from contacts
  where queue_id is not null
  group by vendor, queue_kind, queue_id
)
select
  coalesce(met.vendor, listed.vendor) || '/' || coalesce(met.queue_kind, listed.queue_kind) || '/'
    || coalesce(met.queue_id, listed.queue_id) as queue_key,
  coalesce(met.vendor, listed.vendor) as vendor,
  coalesce(met.queue_kind, listed.queue_kind) as queue_kind,
  coalesce(met.queue_id, listed.queue_id) as queue_id,
  coalesce(listed.queue_name, met.queue_name) as queue_name,
  met.first_contact_at, met.last_contact_at,
  coalesce(met.contacts, 0) as contacts
from listed
full join met
  on met.vendor = listed.vendor and met.queue_kind = listed.queue_kind and met.queue_id = listed.queue_id
