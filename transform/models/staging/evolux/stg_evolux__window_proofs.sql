{{ trunkline.staged('evolux', 'window_proofs') }}
