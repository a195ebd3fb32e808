{{ trunkline.staged('bspk', 'sales_associates') }}
