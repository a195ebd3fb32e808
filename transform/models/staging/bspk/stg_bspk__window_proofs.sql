{{ trunkline.staged('bspk', 'window_proofs') }}
