{{ trunkline.staged('conpeek', 'voice_campaign_requests') }}
