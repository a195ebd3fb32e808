with followed as (
  select contact_key, started_at, lag(started_at) over (
    partition by vendor, stream, direction, customer_key order by started_at, contact_key
  ) as previous_at
  from {{ ref('contacts_made') }}
  where customer_key is not null
)
select contact_key, previous_at,
  coalesce(started_at <= previous_at + interval '{{ var("repeat_days") }} days', false) as is_repeat
from followed
