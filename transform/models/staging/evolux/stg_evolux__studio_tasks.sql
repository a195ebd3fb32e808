select
  cdr.call_id,
  items.position,
  cdr.call_start_time,
  items.item ->> 'task_id' as task_id,
  items.item ->> 'task_name' as task_name,
  items.item ->> 'task_description' as task_description,
  to_timestamp(cast(items.item ->> 'start_time_epoch' as int8)) as start_time,
  {{ trunkline.local_time("to_timestamp(cast(items.item ->> 'start_time_epoch' as int8))") }} as start_time_local,
  to_timestamp(cast(items.item ->> 'end_time_epoch' as int8)) as end_time,
  {{ trunkline.local_time("to_timestamp(cast(items.item ->> 'end_time_epoch' as int8))") }} as end_time_local,
  items.item -> 'task_raw_params' as task_raw_params,
  cdr.loaded_at
from {{ ref('stg_evolux__studio_cdr') }} as cdr
cross join lateral {{ trunkline.json_items('cdr.executed_tasks') }} as items
