{#- A phone number in E.164; what can't be one stays as its digits. A number without a country needs the variable
    phone_region. What holds fewer than four digits, such as `anonymous`, is null, and what a tap has hashed is left
    alone. A prefix is taken away where the rest has as many digits as a number of the region may have. -#}
{% macro phone(number, region=none) -%}
{%- set region = region or var('phone_region') -%}
{%- set digits = "regexp_replace(" ~ number ~ ", '[^0-9]', '', 'g')" -%}
{%- set dialled = "case when " ~ number ~ " ~ '^[+]?[0-9]*$' then " ~ number
  ~ " else regexp_replace(" ~ number ~ ", '[^0-9+]', '', 'g') end" -%}
{%- set foreign, prefixes = '[+]|00', [] -%}
{%- if region -%}
  {%- set regions = fromjson(trunkline.phone_regions()) -%}
  {%- if region not in regions -%}
    {{ exceptions.raise_compiler_error("phone_region is '" ~ region ~ "', and no ISO code of a country: BR, PL, ZA") }}
  {%- endif -%}
  {%- set code, abroad, trunk, national, numbers = regions[region] -%}
  {%- set foreign = '[+]|' ~ abroad ~ '|00' -%}
  {%- set abroad, trunk = '(?:' ~ foreign ~ ')' ~ code, '(?:' ~ trunk ~ ')' if trunk else '' -%}
  {%- do prefixes.extend([abroad ~ trunk, abroad, trunk, '', code ~ trunk, code]) -%}
{%- endif -%}
case
  when {{ number }} ~ '^[0-9a-f]{64}$' then {{ number }}
  when length({{ digits }}) < 4 then null
  {%- for prefix in prefixes | unique %}
  when {{ dialled }} ~ '^{{ prefix }}(?:{{ national }})$'
  {%- if not prefix %} and not ({{ dialled }} ~ '^{{ code }}(?:{{ numbers }})$' and {{ dialled }} !~ '^(?:{{ numbers }})$')
  {%- endif %} then '+{{ code }}' || regexp_replace({{ dialled }}, '^{{ prefix }}', '')
  {%- endfor %}
  {%- if region %}
  when {{ dialled }} ~ '^(?:{{ foreign }}){{ code }}.*$' then {{ digits }}
  {%- endif %}
  when {{ dialled }} ~ '^(?:{{ foreign }})[1-9][0-9]{6,14}$' then '+' || regexp_replace({{ dialled }}, '^(?:{{ foreign }})', '')
  else {{ digits }}
end
{%- endmacro %}
