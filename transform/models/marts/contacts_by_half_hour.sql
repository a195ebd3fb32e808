{{ trunkline.contact_figures('half_hour', 'timestamp', '30 minutes', trunkline.half_hour('started_local')) }}
