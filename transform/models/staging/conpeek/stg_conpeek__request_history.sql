select
  requests.id as request_id,
  items.position,
  requests.voice_campaign_id,
  requests.changed_at,
  items.item,
  requests.loaded_at
from {{ ref('stg_conpeek__voice_campaign_requests') }} as requests
cross join lateral {{ trunkline.json_items('requests.history') }} as items
