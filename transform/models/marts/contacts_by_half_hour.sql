{{ trunkline.contact_figures('half_hour', trunkline.half_hour('started_local')) }}
