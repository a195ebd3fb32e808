with listed as (
  select 'bspk' as vendor, coalesce(associate_id, username) as agent_id, sales_associate_name as agent_name, email,
    cast(null as boolean) as is_active,
    row_number() over (partition by coalesce(associate_id, username) order by updated_at desc) as place
  from {{ ref('stg_bspk__sales_associates') }}
  union all
  select 'evolux', cast(id as text), name, null, enable and not archived, 1
  from {{ ref('stg_evolux__agents') }}
  union all
  select 'switchtransact', id, name, email, is_active, 1
  from {{ ref('stg_switchtransact__agents') }}
),
met as (
  select vendor, agent_key, {{ trunkline.latest('agent_id') }} as agent_id,
    {{ trunkline.latest('agent_name') }} as agent_name,
    min(started_at) as first_contact_at, max(started_at) as last_contact_at, count(*) as contacts
  from {{ ref('contacts_made') }}
  where agent_key is not null
  group by vendor, agent_key
)
select
  coalesce(listed.vendor || '/' || listed.agent_id, met.agent_key) as agent_key,
  coalesce(listed.vendor, met.vendor) as vendor,
  coalesce(listed.agent_id, met.agent_id) as agent_id,
  coalesce(listed.agent_name, met.agent_name) as agent_name,
  listed.email, listed.is_active, met.first_contact_at, met.last_contact_at,
  coalesce(met.contacts, 0) as contacts
from (select * from listed where place = 1 and agent_id is not null) as listed
full join met on met.agent_key = listed.vendor || '/' || listed.agent_id
