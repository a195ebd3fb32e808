{{ trunkline.staged('switchtransact', 'window_proofs') }}
