{#- A key: no null in it, and no two rows alike. One query, where unique and not_null would be two and take one column. -#}
{% test key(model, columns) %}
{%- set names = [] -%}
{%- for column in columns %}{% do names.append(adapter.quote(column)) %}{% endfor %}
select {{ names | join(', ') }}, count(*) as found
from {{ model }}
group by {{ names | join(', ') }}
having count(*) > 1 or {{ names | join(' is null or ') }} is null
{% endtest %}
