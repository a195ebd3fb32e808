{{ trunkline.staged('hostedsuite', 'reservations') }}
