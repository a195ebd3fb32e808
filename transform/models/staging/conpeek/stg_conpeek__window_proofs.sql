{{ trunkline.staged('conpeek', 'window_proofs') }}
