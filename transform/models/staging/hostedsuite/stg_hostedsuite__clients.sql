{{ trunkline.staged('hostedsuite', 'clients') }}
