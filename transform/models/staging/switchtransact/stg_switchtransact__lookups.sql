{{ trunkline.staged('switchtransact', 'lookups') }}
