with listed as (
  select 'bspk' as vendor, client_id as customer_id, name as customer_name,
    {{ trunkline.phone('coalesce(mobile_phone, other_phone)') }} as customer_phone, email
  from {{ ref('stg_bspk__clients') }}
  union all
  select 'switchtransact', id, nullif(trim(coalesce(firstname, '') || ' ' || coalesce(lastname, '')), ''),
    {{ trunkline.phone('coalesce(mobilephone, businessphone, businessphone2)') }}, email
  from {{ ref('stg_switchtransact__contacts') }}
),
met as (
  select vendor, customer_key, {{ trunkline.latest('customer_id') }} as customer_id,
    {{ trunkline.latest('customer_name') }} as customer_name,
    {{ trunkline.latest('customer_phone') }} as customer_phone,
    min(started_at) as first_contact_at, max(started_at) as last_contact_at, count(*) as contacts
  from {{ ref('contacts_made') }}
  where customer_key is not null
  group by vendor, customer_key
)
select
  coalesce(met.customer_key, listed.vendor || '/' || listed.customer_id) as customer_key,
  coalesce(listed.vendor, met.vendor) as vendor,
  coalesce(listed.customer_id, met.customer_id) as customer_id,
  coalesce(listed.customer_name, met.customer_name) as customer_name,
  coalesce(listed.customer_phone, met.customer_phone) as customer_phone,
  listed.email, met.first_contact_at, met.last_contact_at,
  coalesce(met.contacts, 0) as contacts
from listed
full join met on met.customer_key = listed.vendor || '/' || listed.customer_id
