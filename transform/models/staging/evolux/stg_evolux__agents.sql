{{ trunkline.staged('evolux', 'agents') }}
