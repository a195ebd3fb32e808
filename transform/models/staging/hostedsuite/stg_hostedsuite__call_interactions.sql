select
  calls.id as call_id,
  items.position,
  cast(items.item ->> 'StartTime' as timestamptz) as start_time,
  {{ trunkline.local_time("cast(items.item ->> 'StartTime' as timestamptz)") }} as start_time_local,
  items.item ->> 'Type' as type,
  items.item ->> 'Description' as description,
  calls.loaded_at
from {{ ref('stg_hostedsuite__calls') }} as calls
cross join lateral {{ trunkline.json_items('calls.interactions') }} as items
