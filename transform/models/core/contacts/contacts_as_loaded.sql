select * from {{ ref('contacts_bspk') }}
union all
select * from {{ ref('contacts_conpeek') }}
union all
select * from {{ ref('contacts_evolux') }}
union all
select * from {{ ref('contacts_hostedsuite') }}
