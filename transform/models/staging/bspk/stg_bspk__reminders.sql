{{ trunkline.staged('bspk', 'reminders') }}
