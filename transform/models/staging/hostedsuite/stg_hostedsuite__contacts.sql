{{ trunkline.staged('hostedsuite', 'contacts') }}
