{%- set times = ['start_time', 'ring_time', 'alert_time', 'answer_time', 'serve_time', 'hangup_time'] -%}
select
  requests.id as request_id,
  items.position,
  requests.voice_campaign_id,
  requests.changed_at,
  items.item ->> 'dialog_uuid' as dialog_uuid,
  items.item ->> 'dialog_type' as dialog_type,
  items.item ->> 'business_direction' as business_direction,
  items.item ->> 'business_end_cause' as business_end_cause,
  items.item ->> 'from_display_target' as from_display_target,
  items.item ->> 'to_display_target' as to_display_target,
  {%- for time in times %}
  {{ trunkline.utc_text("(items.item ->> '" ~ time ~ "')") }} as {{ time }},
  {{ trunkline.local_time(trunkline.utc_text("(items.item ->> '" ~ time ~ "')")) }} as {{ time }}_local,
  {%- endfor %}
  cast(items.item ->> 'talking_time' as int8) as talking_time,
  cast(items.item ->> 'waiting_time' as int8) as waiting_time,
  cast(items.item ->> 'first_queue_waiting_time' as int8) as first_queue_waiting_time,
  case items.item ->> 'machine_detected'
    when '1' then true when 'true' then true when '0' then false when 'false' then false
  end as machine_detected,
  items.item ->> 'machine_detected_type' as machine_detected_type,
  requests.loaded_at
from {{ ref('stg_conpeek__voice_campaign_requests') }} as requests
cross join lateral {{ trunkline.json_items('requests.dialogs') }} as items
