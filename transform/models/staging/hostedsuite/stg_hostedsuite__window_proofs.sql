{{ trunkline.staged('hostedsuite', 'window_proofs') }}
