{#- The latest value of a column that is not null, among the contacts of a group. -#}
{% macro latest(column) -%}
(array_agg({{ column }} order by started_at desc, contact_key) filter (where {{ column }} is not null))[1]
{%- endmacro %}
