{{ trunkline.staged('bspk', 'slices') }}
