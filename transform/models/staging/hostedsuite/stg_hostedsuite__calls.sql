{{ trunkline.staged('hostedsuite', 'calls') }}
