{{ trunkline.staged('evolux', 'queue_calls') }}
