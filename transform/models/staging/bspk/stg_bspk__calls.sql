{{ trunkline.staged('bspk', 'calls') }}
