{{ trunkline.staged('hostedsuite', 'charges') }}
