{{ trunkline.staged('switchtransact', 'contact_lookups') }}
