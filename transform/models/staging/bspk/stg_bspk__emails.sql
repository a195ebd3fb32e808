{{ trunkline.staged('bspk', 'emails') }}
