-- A field that seeds/coverage.csv says a vendor can't supply is null in every row.
{%- set fields = [
  'direction', 'answered_at', 'ended_at', 'wait_seconds', 'ring_seconds', 'talk_seconds', 'hold_seconds',
  'wrap_up_seconds', 'outcome', 'agent_id', 'customer_id', 'customer_phone', 'queue_id', 'campaign_id',
] %}
with supplied as (
  select vendor, stream
  {%- for field in fields %}, count({{ field }}) as {{ field }}{% endfor %}
  from {{ ref('contacts_made') }}
  group by vendor, stream
)
{%- for field in fields %}
{{ 'union all' if not loop.first }}
select vendor, stream, '{{ field }}' as field
from supplied join {{ ref('coverage') }} as coverage using (vendor, stream)
where coverage.field = '{{ field }}' and coverage.supplied = 'no' and supplied.{{ field }} > 0
{%- endfor %}
