{#- A stream as a view: typed, times also on the centre's clocks, rows that are marked as deleted left out.
    A table or a column that was never loaded is an empty one, so that nothing else has to know. -#}
{% macro staged(vendor, stream) %}
{%- set source = source('tap_' ~ vendor, stream) -%}
{%- if execute -%}
{%- set table = load_relation(source) if vendor in var('vendors') else none -%}
{%- set there = {} -%}
{%- for column in (adapter.get_columns_in_relation(table) if table is not none else []) -%}
  {%- do there.update({column.name | lower: column}) -%}
{%- endfor -%}
{%- set node = graph.sources.values()
      | selectattr('source_name', 'equalto', 'tap_' ~ vendor) | selectattr('name', 'equalto', stream) | first -%}
select
{%- for field in node.columns.values() %}
  {%- set name = adapter.quote(trunkline.snake_case(field.name)) %}
  {%- set typed = trunkline.typed(there.get(field.name | lower), field.data_type) %}
  {{ typed }} as {{ name }},
  {%- if field.data_type == 'timestamptz' %}
  {{ trunkline.local_time(typed) }} as {{ adapter.quote(trunkline.snake_case(field.name) ~ '_local') }},
  {%- endif %}
{%- endfor %}
  coalesce(
    {{ trunkline.typed(there.get('_sdc_batched_at'), 'timestamptz') }},
    {{ trunkline.typed(there.get('_sdc_extracted_at'), 'timestamptz') }}
  ) as loaded_at
{%- if table is none %}
where false
{%- else %}
from {{ table }}
  {%- if '_sdc_deleted_at' in there %}
where {{ adapter.quote(there['_sdc_deleted_at'].name) }} is null
  {%- endif %}
{%- endif %}
{%- endif -%}
{% endmacro %}


{% macro snake_case(name) %}
{{- return(modules.re.sub('(?<=[a-z0-9])(?=[A-Z])', '_', name) | lower) -}}
{% endmacro %}


{#- A column as a type; null when there is no such column. Times without a zone, as some loaders write them, are UTC;
    arrays, as the published loader for PostgreSQL writes lists, become JSON. -#}
{% macro typed(column, type) %}
{%- set type = trunkline.json_type() if type == 'json' else type -%}
{%- if column is none -%}
cast(null as {{ type }})
{%- elif type == 'timestamptz' and column.data_type | lower in ('timestamp', 'timestamp without time zone') -%}
timezone('UTC', {{ adapter.quote(column.name) }})
{%- elif type == trunkline.json_type() and (column.data_type | lower == 'array' or column.data_type.endswith('[]')) -%}
to_{{ type }}({{ adapter.quote(column.name) }})
{%- else -%}
cast({{ adapter.quote(column.name) }} as {{ type }})
{%- endif -%}
{% endmacro %}


{#- An instant as the clocks of the centre show it, without a zone. -#}
{% macro local_time(instant) -%}
timezone('{{ var("centre_timezone") }}', {{ instant }})
{%- endmacro %}


{#- The instant at which the clocks of the centre show a time. -#}
{% macro instant(local) -%}
timezone('{{ var("centre_timezone") }}', {{ local }})
{%- endmacro %}


{#- A time that a vendor writes without a zone and in UTC, in a text; null when it is none. -#}
{% macro utc_text(text) -%}
case when {{ text }} ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}.*$'
  then timezone('UTC', cast(substr({{ text }}, 1, 19) as timestamp)) end
{%- endmacro %}


{#- What only one of the databases knows. -#}

{% macro json_type() %}{{ return(adapter.dispatch('json_type', 'trunkline')()) }}{% endmacro %}
{% macro duckdb__json_type() %}{{ return('json') }}{% endmacro %}
{% macro postgres__json_type() %}{{ return('jsonb') }}{% endmacro %}

{#- The items of a JSON array, to be joined laterally: a row each, with `item` (JSON) and `position` (from 1). -#}
{% macro json_items(array) %}{{ return(adapter.dispatch('json_items', 'trunkline')(array)) }}{% endmacro %}
{% macro duckdb__json_items(array) %}
(
  select value as item, cast(key as int8) + 1 as position
  from json_each(case when json_type({{ array }}) = 'ARRAY' then {{ array }} end)
)
{% endmacro %}
{% macro postgres__json_items(array) %}
(
  select found.item, found.position
  from jsonb_array_elements(case when jsonb_typeof({{ array }}) = 'array' then {{ array }} end)
    with ordinality as found (item, position)
)
{% endmacro %}

{#- Times from one to another, a row each, as a column of a query. -#}
{% macro series(since, until, step) %}{{ return(adapter.dispatch('series', 'trunkline')(since, until, step)) }}{% endmacro %}
{% macro duckdb__series(since, until, step) %}unnest(generate_series({{ since }}, {{ until }}, interval '{{ step }}')){% endmacro %}
{% macro postgres__series(since, until, step) %}generate_series({{ since }}, {{ until }}, interval '{{ step }}'){% endmacro %}
