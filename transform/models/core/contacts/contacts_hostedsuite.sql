select
  {{ trunkline.contact('hostedsuite', 'calls', 'id', {
    'channel': "'voice'",
    'direction': trunkline.direction_of('type'), 'vendor_direction': 'type',
    'started_at': 'start_time',
    'answered_at': "case when answered_by is not null then start_time + ring_time_in_seconds * interval '1 second' end",
    'ended_at': "start_time + duration_in_seconds * interval '1 second'",
    'wait_seconds': 'ring_time_in_seconds', 'ring_seconds': 'ring_time_in_seconds',
    'talk_seconds': 'talk_time_in_seconds', 'hold_seconds': 'hold_time_in_seconds',
    'outcome': "case
      when answered_by is not null and coalesce(transfer_to_name, transfer_to_number) is not null then 'transferred'
      when answered_by is not null then 'answered'
      when " ~ trunkline.direction_of('type') ~ " = 'inbound' then 'abandoned'
      when " ~ trunkline.direction_of('type') ~ " = 'outbound' then 'no_answer'
    end",
    'agent_id': 'answered_by', 'agent_name': 'answered_by',
    'customer_name': 'caller_name', 'customer_phone': trunkline.phone('caller_number'),
    'queue_kind': "'client'", 'queue_id': 'client_id', 'queue_name': 'client_name',
    'proof_time': 'start_time', 'loaded_at': 'loaded_at',
  }) }}
from {{ ref('stg_hostedsuite__calls') }}
