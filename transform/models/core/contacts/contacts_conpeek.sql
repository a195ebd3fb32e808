{#- The call history has every dialog; the requests say which campaign one belongs to, and name those that the history
    does not have, because it was not loaded or begins later. -#}
{%- set columns = [
  'dialog_type', 'business_direction', 'business_end_cause', 'from_display_target', 'to_display_target', 'start_time',
  'ring_time', 'answer_time', 'hangup_time', 'talking_time', 'first_queue_waiting_time', 'machine_detected',
] -%}
with named as (
  select dialogs.*, requests.voice_campaign_name, requests.tenant_user_id, requests.contact_identifier,
    row_number() over (partition by dialogs.dialog_uuid order by dialogs.changed_at desc, dialogs.request_id) as place
  from {{ ref('stg_conpeek__request_dialogs') }} as dialogs
  join {{ ref('stg_conpeek__voice_campaign_requests') }} as requests on requests.id = dialogs.request_id
  where dialogs.dialog_uuid is not null and dialogs.start_time is not null
),
dialogs as (
  select
    coalesce(history.dialog_uuid, named.dialog_uuid) as dialog_uuid,
    history.dialog_uuid is not null as in_history,
    {%- for column in columns %}
    coalesce(history.{{ column }}, named.{{ column }}) as {{ column }},
    {%- endfor %}
    named.voice_campaign_id, named.voice_campaign_name, named.tenant_user_id, named.contact_identifier,
    coalesce(history.hangup_time, named.changed_at) as proof_time,
    greatest(history.loaded_at, named.loaded_at) as loaded_at
  from {{ ref('stg_conpeek__cdr_dialogs') }} as history
  full join (select * from named where place = 1) as named on named.dialog_uuid = history.dialog_uuid
)
select
  {{ trunkline.contact('conpeek', 'dialogs', 'dialog_uuid', {
    'channel': "case when dialog_type = 'SCREENSHARE_DIALOG' then 'screen_share' else 'voice' end",
    'direction': trunkline.direction_of('business_direction'), 'vendor_direction': 'business_direction',
    'started_at': 'start_time', 'answered_at': 'answer_time', 'ended_at': 'hangup_time',
    'wait_seconds': trunkline.seconds_between('start_time', 'coalesce(answer_time, hangup_time)'),
    'ring_seconds': trunkline.seconds_between('ring_time', 'coalesce(answer_time, hangup_time)'),
    'talk_seconds': 'talking_time / 1000.0',
    'outcome': "case
      when hangup_time is null then 'in_progress'
      when machine_detected then 'machine'
      when answer_time is not null or talking_time > 0 then 'answered'
      when business_direction = 'INBOUND' then 'abandoned'
      when business_direction = 'OUTBOUND' then 'no_answer'
    end",
    'vendor_outcome': 'business_end_cause',
    'agent_id': 'cast(tenant_user_id as text)',
    'agent_name': "case business_direction when 'INBOUND' then to_display_target
      when 'OUTBOUND' then from_display_target end",
    'customer_id': 'contact_identifier',
    'customer_phone': trunkline.phone(
      "(case business_direction when 'INBOUND' then from_display_target else to_display_target end)"),
    'campaign_id': 'voice_campaign_id', 'campaign_name': 'voice_campaign_name',
    'proven_in': "case when in_history then 'cdr_dialogs' else 'voice_campaign_requests' end",
    'proven_partition': "case when in_history then '' else voice_campaign_id end",
    'proof_time': 'proof_time', 'loaded_at': 'loaded_at',
  }) }}
from dialogs
