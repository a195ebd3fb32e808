{{ trunkline.staged('evolux', 'queues') }}
