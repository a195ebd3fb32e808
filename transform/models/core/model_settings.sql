{#- What the figures rest on, for whoever reads them without this project at hand: `trunkline report` does. -#}
select
  cast('{{ var("centre_timezone") }}' as text) as centre_timezone,
  cast({{ var("service_level_seconds") }} as float8) as service_level_seconds,
  cast({{ var("short_abandon_seconds") }} as float8) as short_abandon_seconds,
  cast({{ var("repeat_days") }} as float8) as repeat_days
