{#- No vendor says when its agents signed in and out: an agent counts as present from the first to the last thing that is
    known of the day, and only vendors whose pauses are known have an occupancy. -#}
with activities as (
  select vendor, agent_key, agent_name, cast(started_local as date) as day, started_at, contact_key,
    coalesce(ended_at, started_at + handle_seconds * interval '1 second', started_at) as ended_at,
    1 as contacts, handle_seconds, cast(null as float8) as pause_seconds
  from {{ ref('contacts_made') }}
  where agent_key is not null
  union all
  select vendor, agent_key, agent_name, cast(started_local as date), started_at, agent_key, coalesce(ended_at, started_at),
    0, null, seconds
  from {{ ref('agent_states') }}
),
days as (
  select day, vendor, agent_key, {{ trunkline.latest('agent_name') }} as agent_name,
    sum(contacts) as contacts, count(handle_seconds) as handled, sum(handle_seconds) as handle_seconds,
    case when vendor in (select vendor from {{ ref('agent_states') }})
      then coalesce(sum(pause_seconds), 0) end as pause_seconds,
    {{ trunkline.seconds_between('min(started_at)', 'max(ended_at)') }} as present_seconds
  from activities
  group by day, vendor, agent_key
)
select day, vendor, agent_key, agent_name, contacts, nullif(handled, 0) as handled, handle_seconds, pause_seconds,
  present_seconds,
  case when present_seconds > pause_seconds then handle_seconds / (present_seconds - pause_seconds) end as occupancy
from days
