{{ trunkline.staged('switchtransact', 'transactions') }}
