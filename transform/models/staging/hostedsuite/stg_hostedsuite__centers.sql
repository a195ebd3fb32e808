{{ trunkline.staged('hostedsuite', 'centers') }}
