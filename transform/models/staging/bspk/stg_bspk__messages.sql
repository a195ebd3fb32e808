{{ trunkline.staged('bspk', 'messages') }}
