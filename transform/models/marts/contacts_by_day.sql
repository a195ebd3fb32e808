{{ trunkline.contact_figures('day', 'date', '1 day', 'cast(started_local as date)') }}
