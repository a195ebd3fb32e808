{{ trunkline.staged('switchtransact', 'contacts') }}
