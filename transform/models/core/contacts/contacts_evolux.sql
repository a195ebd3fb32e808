{%- set queue_direction = trunkline.direction_of('call_type_description') -%}
select
  {{ trunkline.contact('evolux', 'queue_calls', 'cast(call_id as text)', {
    'channel': "'voice'",
    'direction': queue_direction, 'vendor_direction': 'call_type_description',
    'started_at': 'date_join', 'answered_at': 'time_connect', 'ended_at': 'time_leave',
    'wait_seconds': 'wait_duration',
    'talk_seconds': trunkline.seconds_between('time_connect', 'time_leave'),
    'outcome': "case
      when time_leave is null then 'in_progress'
      when time_connect is not null then 'answered'
      when " ~ queue_direction ~ " = 'inbound' then 'abandoned'
      when " ~ queue_direction ~ " = 'outbound' then 'no_answer'
    end",
    'vendor_outcome': "nullif(end_by_description, '')",
    'agent_id': 'cast(agent_id as text)', 'agent_name': 'agent_name',
    'customer_name': "case when " ~ queue_direction ~ " = 'outbound' then receicer_name else caller_name end",
    'customer_phone': trunkline.phone(
      "(case when " ~ queue_direction ~ " = 'outbound' then receiver_number else caller_number end)"),
    'queue_kind': "'queue'", 'queue_id': 'cast(queue_id as text)', 'queue_name': 'queue_name',
    'proof_time': 'date_join', 'loaded_at': 'loaded_at',
  }) }}
from {{ ref('stg_evolux__queue_calls') }}
union all
select
  {{ trunkline.contact('evolux', 'dialer_calls', 'cast(id as text)', {
    'channel': "'voice'", 'direction': "'outbound'",
    'started_at': 'start_time', 'answered_at': 'answer_time', 'ended_at': 'end_time',
    'wait_seconds': trunkline.seconds_between('start_time', 'coalesce(answer_time, end_time)'),
    'ring_seconds': trunkline.seconds_between('start_time', 'coalesce(answer_time, end_time)'),
    'talk_seconds': 'case when answer_time is not null then talking_duration end',
    'outcome': "case
      when end_time is null then 'in_progress'
      when answer_time is not null and (agent ->> 'id') is null then 'abandoned'
      when answer_time is not null then 'answered'
      when hangup_cause like '%BUSY%' then 'busy'
      when hangup_cause like '%NO_ANSWER%' then 'no_answer'
      when hangup_cause is not null then 'failed'
    end",
    'vendor_outcome': 'hangup_cause',
    'agent_id': "agent ->> 'id'", 'agent_name': "agent ->> 'name'",
    'customer_id': "subscriber ->> 'external_id'", 'customer_name': "subscriber ->> 'name'",
    'customer_phone': trunkline.phone("(subscriber ->> 'number')"),
    'campaign_id': "campaign ->> 'id'", 'campaign_name': "campaign ->> 'name'",
    'proof_time': 'start_time', 'loaded_at': 'loaded_at',
  }) }}
from {{ ref('stg_evolux__dialer_calls') }}
union all
select
  {{ trunkline.contact('evolux', 'studio_calls', 'cast(id as text)', {
    'channel': "'voice'",
    'started_at': 'start_time', 'ended_at': 'end_time',
    'outcome': "case
      when end_time is null then 'in_progress'
      when exit_reason = 'transfer' then 'passed_on'
      when exit_reason = 'hangup' then 'self_service'
    end",
    'vendor_outcome': 'exit_reason',
    'customer_phone': trunkline.phone('caller'),
    'queue_kind': "'flow'", 'queue_id': "call_flow ->> 'id'", 'queue_name': "call_flow ->> 'name'",
    'proof_time': 'start_time', 'loaded_at': 'loaded_at',
  }) }}
from {{ ref('stg_evolux__studio_calls') }}
