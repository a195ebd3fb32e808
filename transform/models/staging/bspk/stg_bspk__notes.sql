{{ trunkline.staged('bspk', 'notes') }}
