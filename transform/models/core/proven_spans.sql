with proofs as (
  {%- for vendor in ['bspk', 'conpeek', 'evolux', 'hostedsuite', 'switchtransact'] %}
  {{ 'union all' if not loop.first }}
  select
    '{{ vendor }}' as vendor, stream, since, until,
    coalesce(cast("partition" as {{ trunkline.json_type() }}) ->> 'voice_campaign_id', '') as partition_id
  from {{ ref('stg_' ~ vendor ~ '__window_proofs') }}
  where since < until
  {%- endfor %}
),
before as (
  select *, max(until) over (
    partition by vendor, stream, partition_id order by since, until rows between unbounded preceding and 1 preceding
  ) as reached
  from proofs
),
numbered as (
  select *, sum(case when since <= reached then 0 else 1 end) over (
    partition by vendor, stream, partition_id order by since, until rows unbounded preceding
  ) as number
  from before
)
select vendor, stream, partition_id, min(since) as since, max(until) as until
from numbered
group by vendor, stream, partition_id, number
