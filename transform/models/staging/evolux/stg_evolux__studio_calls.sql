{{ trunkline.staged('evolux', 'studio_calls') }}
