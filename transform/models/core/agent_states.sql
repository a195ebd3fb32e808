select
  'evolux/' || cast(agent_id as text) as agent_key,
  'evolux' as vendor,
  cast(agent_id as text) as agent_id,
  agent ->> 'name' as agent_name,
  'pause' as state,
  description as vendor_state,
  time_start as started_at,
  time_start_local as started_local,
  time_end as ended_at,
  cast(duration as float8) as seconds,
  cast("limit" as float8) as limit_seconds,
  loaded_at
from {{ ref('stg_evolux__agent_pauses') }}
