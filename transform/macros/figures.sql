{#- The figures of contacts by an interval of the centre's clocks. What a vendor can't say is null: a count is of the
    contacts whose outcome is known, and null when there are none. -#}
{% macro contact_figures(name, type, length, interval) %}
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
),
{{ trunkline.proven_intervals(length) }},
figures as (
  select * from counted
  union all
  {#- Nobody made contact, which is known and so a row of zeros, of the stream alone. #}
  select cast(began as {{ type }}), vendor, stream{% for _ in keys[2:] %}, cast(null as text){% endfor %},
    0, 0, case when has_outcome then 0 end, case when has_outcome then 0 end, cast(null as int8),
    0, 0, 0, 0, 0, cast(null as float8), 0{% for _ in range(3) %}, cast(null as float8){% endfor %}, 0
  from proven_intervals
  where not exists (
    select 1 from counted
    where counted.vendor = proven_intervals.vendor and counted.stream = proven_intervals.stream
      and counted.{{ name }} = proven_intervals.began
  )
)
select {{ name }}, figures.{{ keys | join(', figures.') }}, queues.queue_name, campaigns.queue_name as campaign_name,
  figures.contacts, proven, offered, answered, abandoned,
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
from figures
left join {{ ref('queues') }} as queues on queues.vendor = figures.vendor
  and queues.queue_kind = figures.queue_kind and queues.queue_id = figures.queue_id
left join {{ ref('queues') }} as campaigns on campaigns.vendor = figures.vendor
  and campaigns.queue_kind = 'campaign' and campaigns.queue_id = figures.campaign_id
{% endmacro %}


{#- The half hour that a local time lies in. -#}
{% macro half_hour(time) -%}
date_trunc('hour', {{ time }})
  + case when extract(minute from {{ time }}) >= 30 then interval '30 minutes' else interval '0 minutes' end
{%- endmacro %}


{#- The intervals of the centre's clocks in which all of a stream is proven, as one more part of a query. Proofs of
    dialogs go by the time at which one ended, so the day after has to be proven too before none can have begun. -#}
{% macro proven_intervals(length) -%}
{%- set end = "began + interval '" ~ length ~ "'" -%}
streams as (
  select vendor, stream, bool_and(field <> 'outcome' or supplied <> 'no') as has_outcome,
    case stream when 'dialogs' then 'cdr_dialogs' else stream end as proven_in,
    case stream when 'dialogs' then interval '1 day' else interval '0 days' end as later
  from {{ ref('coverage') }}
  group by vendor, stream
),
firsts as (
  select vendor, stream, min(started_at) as first_at from {{ ref('contacts_made') }} group by vendor, stream
),
spans as (
  select streams.vendor, streams.stream, has_outcome, since, until - later as until,
    {#- A tap without a start_date proves from 1970 on: half a century before the first contact is no use to anybody. #}
    {%- set begin = "case when since > timestamptz '1970-01-01 00:00:00+00' then since else first_at end" %}
    {{ trunkline.series(
      "date_trunc('day', " ~ trunkline.local_time(begin) ~ ")", trunkline.local_time('until'), length) }} as began
  from streams join {{ ref('proven_spans') }} as proven
    on proven.vendor = streams.vendor and proven.stream = proven_in and partition_id = ''
  left join firsts on firsts.vendor = streams.vendor and firsts.stream = streams.stream
),
proven_intervals as (
  select vendor, stream, has_outcome, began
  from spans
  where {{ trunkline.instant('began') }} >= since and {{ trunkline.instant(end) }} <= until
    {#- Of an hour that comes twice the first time too; a half hour that the clocks skip is none. #}
    and {{ trunkline.instant("began - interval '1 hour'") }} + interval '1 hour' >= since
    and {{ trunkline.local_time(trunkline.instant('began')) }} < {{ end }}
)
{%- endmacro %}
