{{ trunkline.contact_figures('day', 'cast(started_local as date)') }}
