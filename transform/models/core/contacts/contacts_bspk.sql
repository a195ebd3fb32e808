{%- set who = {
  'started_at': 'created_at', 'agent_id': 'sales_associate_id', 'agent_name': 'sales_associate_name',
  'customer_id': 'client_id', 'customer_name': 'client_name',
  'queue_kind': "'store'", 'queue_id': 'store_id', 'queue_name': 'store_name',
  'proof_time': 'created_at', 'loaded_at': 'loaded_at',
} -%}
select
  {{ trunkline.contact('bspk', 'calls', 'call_key', dict(who, channel="'voice'", direction="'outbound'",
       customer_phone=trunkline.phone('"to"'))) }}
from {{ ref('stg_bspk__calls') }}
union all
select
  {{ trunkline.contact('bspk', 'messages', 'message_key', dict(who, channel="coalesce(nullif(channel, ''), 'message')")) }}
from {{ ref('stg_bspk__messages') }}
union all
select
  {{ trunkline.contact('bspk', 'emails', 'email_key', dict(who, channel="'email'")) }}
from {{ ref('stg_bspk__emails') }}
