{{ trunkline.staged('switchtransact', 'agents') }}
