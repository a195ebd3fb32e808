{{ trunkline.staged('bspk', 'appointments') }}
