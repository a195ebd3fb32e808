{#- The figures of contacts by an interval of the centre's clocks. What a vendor can't say is null: a count is of the
    contacts whose outcome is known, and null when there are none. -#}
{% macro contact_figures(name, interval) %}
{%- set keys = ['vendor', 'stream', 'channel', 'direction', 'queue_kind', 'queue_id', 'campaign_id'] -%}
{%- set within = 'wait_seconds <= ' ~ var('service_level_seconds') -%}
{%- set short = 'wait_seconds < ' ~ var('short_abandon_seconds') -%}
with counted as (
  select {{ interval }} as {{ name }}, {{ keys | join(', ') }},
    count(*) as contacts,
    case when count(proven) > 0 then count(*) filter (where proven) end as proven,
    case when count(is_answered) > 0 then count(*) filter (where is_answered) end as answered,
    case when count(is_abandoned) > 0 then count(*) filter (where is_abandoned) end as abandoned,
    case when direction = 'inbound' and count(is_answered) > 0
      then count(*) filter (where is_answered or is_abandoned) end as offered,
    count(*) filter (where is_answered and wait_seconds is not null) as timed_answers,
    count(*) filter (where is_abandoned and wait_seconds is not null) as timed_abandons,
    count(*) filter (where is_answered and {{ within }}) as answers_within,
    count(*) filter (where is_abandoned and {{ within }}) as abandons_within,
    count(*) filter (where is_abandoned and {{ short }}) as short_abandons,
    sum(wait_seconds) filter (where is_answered) as answer_wait_seconds,
    count(handle_seconds) as handled,
    sum(handle_seconds) as handle_seconds,
    sum(talk_seconds) filter (where is_answered) as talk_seconds,
    sum(hold_seconds) filter (where is_answered) as hold_seconds,
    case when count(is_repeat) > 0 then count(*) filter (where is_repeat) end as repeats
  from {{ ref('contacts_made') }} left join {{ ref('contact_repeats') }} using (contact_key)
  group by {{ interval }}, {{ keys | join(', ') }}
)
select {{ name }}, counted.{{ keys | join(', counted.') }}, queues.queue_name, campaigns.queue_name as campaign_name,
  counted.contacts, proven, offered, answered, abandoned,
  cast(abandoned as float8) / nullif(answered + abandoned, 0) as abandonment_rate,
  {%- for name, good, of in [
    ('abandons_ignored', 'answers_within', 'timed_answers + timed_abandons - abandons_within'),
    ('abandons_negative', 'answers_within', 'timed_answers + timed_abandons'),
    ('abandons_positive', 'answers_within + abandons_within', 'timed_answers + timed_abandons'),
    ('short_abandons_excluded', 'answers_within', 'timed_answers + timed_abandons - short_abandons'),
    ('answered_only', 'answers_within', 'timed_answers'),
  ] %}
  case when offered is not null then cast({{ good }} as float8) / nullif({{ of }}, 0) end as service_level_{{ name }},
  {%- endfor %}
  {%- for part in ['timed_answers', 'timed_abandons', 'answers_within', 'abandons_within', 'short_abandons'] %}
  case when offered is not null then {{ part }} end as {{ part }},
  {%- endfor %}
  answer_wait_seconds,
  answer_wait_seconds / nullif(timed_answers, 0) as average_speed_of_answer,
  nullif(handled, 0) as handled, handle_seconds,
  handle_seconds / nullif(handled, 0) as average_handle_time,
  talk_seconds, hold_seconds, repeats
from counted
left join {{ ref('queues') }} as queues on queues.vendor = counted.vendor
  and queues.queue_kind = counted.queue_kind and queues.queue_id = counted.queue_id
left join {{ ref('queues') }} as campaigns on campaigns.vendor = counted.vendor
  and campaigns.queue_kind = 'campaign' and campaigns.queue_id = counted.campaign_id
{% endmacro %}


{#- The half hour that a local time lies in. -#}
{% macro half_hour(time) -%}
date_trunc('hour', {{ time }})
  + case when extract(minute from {{ time }}) >= 30 then interval '30 minutes' else interval '0 minutes' end
{%- endmacro %}
