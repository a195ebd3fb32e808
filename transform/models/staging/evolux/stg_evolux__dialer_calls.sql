{{ trunkline.staged('evolux', 'dialer_calls') }}
