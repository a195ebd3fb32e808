-- Every contact is in one row of each mart.
{%- for mart in ['contacts_by_day', 'contacts_by_half_hour'] %}
{{ 'union all' if not loop.first }}
select '{{ mart }}' as mart
where (select sum(contacts) from {{ ref(mart) }}) <> (select count(*) from {{ ref('contacts_made') }})
{%- endfor %}
