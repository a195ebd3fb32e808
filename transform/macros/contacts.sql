{#- A contact's columns in the order and with the types that all vendors have. What a vendor can't supply is not named,
    and null; seeds/coverage.csv gives the reason. `proof_time`, `proven_in` and `proven_partition` lead to its proof. -#}
{% macro contact(vendor, stream, id, columns) -%}
{%- set types = {
  'vendor_id': 'text', 'channel': 'text', 'direction': 'text', 'vendor_direction': 'text',
  'started_at': 'timestamptz', 'answered_at': 'timestamptz', 'ended_at': 'timestamptz',
  'wait_seconds': 'float8', 'ring_seconds': 'float8', 'talk_seconds': 'float8', 'hold_seconds': 'float8',
  'wrap_up_seconds': 'float8', 'outcome': 'text', 'vendor_outcome': 'text',
  'agent_id': 'text', 'agent_name': 'text', 'customer_id': 'text', 'customer_name': 'text', 'customer_phone': 'text',
  'queue_kind': 'text', 'queue_id': 'text', 'queue_name': 'text', 'campaign_id': 'text', 'campaign_name': 'text',
  'proven_in': 'text', 'proven_partition': 'text', 'proof_time': 'timestamptz', 'loaded_at': 'timestamptz',
} -%}
{%- set columns = dict({'proven_in': "'" ~ stream ~ "'", 'proven_partition': "''"}, **columns) -%}
{%- do columns.update(vendor_id=id) -%}
  '{{ vendor }}' as vendor,
  '{{ stream }}' as stream,
  {{ "'" ~ vendor ~ "/" ~ stream ~ "/' || " ~ id }} as contact_key
  {%- for name, type in types.items() %},
  cast({{ columns.pop(name, 'null') }} as {{ type }}) as {{ name }}
  {%- endfor %}
  {%- if columns %}{{ exceptions.raise_compiler_error('a contact has no ' ~ columns) }}{% endif %}
{%- endmacro %}


{#- The seconds from one instant to another; null when either is missing. -#}
{% macro seconds_between(since, until) -%}
cast(extract(epoch from ({{ until }} - {{ since }})) as float8)
{%- endmacro %}


{#- inbound or outbound by the words that a vendor or an account writes; null for any other word. -#}
{% macro direction_of(word) -%}
case
  when lower({{ word }}) in ({{ "'" ~ var('inbound_words') | join("', '") ~ "'" }}) then 'inbound'
  when lower({{ word }}) in ({{ "'" ~ var('outbound_words') | join("', '") ~ "'" }}) then 'outbound'
end
{%- endmacro %}
