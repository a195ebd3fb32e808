{{ trunkline.staged('bspk', 'clients') }}
