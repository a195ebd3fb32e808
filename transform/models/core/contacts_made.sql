{#- Each run takes the rows that were loaded since the one before, and again those of the last hours before that: loaders
    of two vendors run at once, and the younger batch may be visible first. A row that is no longer there, or is marked
    as deleted, leaves in the hook. -#}
{{ config(
  materialized='incremental', unique_key='contact_key', incremental_strategy='delete+insert',
  on_schema_change='append_new_columns',
  post_hook="{% if is_incremental() %}
    delete from {{ this }} as made where not exists (
      select 1 from {{ ref('contacts_as_loaded') }} as loaded where loaded.contact_key = made.contact_key
    )
  {% endif %}"
) }}
with
{%- if is_incremental() %}
reached as (
  select vendor, stream, max(loaded_at) - interval '{{ var("overlap_hours") }} hours' as since
  from {{ this }} group by vendor, stream
),
{%- endif %}
changed as (
  select loaded.*
  from {{ ref('contacts_as_loaded') }} as loaded
  {%- if is_incremental() %}
  left join reached on reached.vendor = loaded.vendor and reached.stream = loaded.stream
  where reached.since is null or loaded.loaded_at is null or loaded.loaded_at >= reached.since
  {%- endif %}
)
select
  changed.contact_key, changed.vendor, changed.stream, changed.vendor_id, changed.channel,
  changed.direction, changed.vendor_direction,
  changed.started_at, {{ trunkline.local_time('changed.started_at') }} as started_local,
  changed.answered_at, changed.ended_at,
  changed.wait_seconds, changed.ring_seconds, changed.talk_seconds, changed.hold_seconds, changed.wrap_up_seconds,
  case when changed.outcome in ('answered', 'transferred')
    then changed.talk_seconds + coalesce(changed.hold_seconds, 0) + coalesce(changed.wrap_up_seconds, 0)
  end as handle_seconds,
  changed.outcome, changed.vendor_outcome,
  case when changed.outcome <> 'in_progress' then changed.outcome in ('answered', 'transferred') end as is_answered,
  case when changed.outcome <> 'in_progress' then changed.outcome = 'abandoned' end as is_abandoned,
  changed.agent_id, changed.agent_name,
  changed.vendor || '/' || coalesce(changed.agent_id, changed.agent_name) as agent_key,
  changed.customer_id, changed.customer_name, changed.customer_phone,
  {#- A brand's own id of a client is on all that BSPK has; elsewhere the number is what the streams share. #}
  changed.vendor || '/' || case when changed.vendor = 'bspk'
    then coalesce(changed.customer_id, changed.customer_phone)
    else coalesce(changed.customer_phone, changed.customer_id)
  end as customer_key,
  changed.queue_kind, changed.queue_id, changed.queue_name, changed.campaign_id, changed.campaign_name,
  case
    when spans.vendor is not null then true
    when changed.vendor in (select vendor from {{ ref('proven_spans') }}) then false
  end as proven,
  changed.loaded_at
from changed
left join {{ ref('proven_spans') }} as spans
  on spans.vendor = changed.vendor and spans.stream = changed.proven_in
  and spans.partition_id = changed.proven_partition
  and changed.proof_time >= spans.since and changed.proof_time < spans.until
