{{ trunkline.staged('evolux', 'studio_cdr') }}
