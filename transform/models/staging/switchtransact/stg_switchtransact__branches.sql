{{ trunkline.staged('switchtransact', 'branches') }}
