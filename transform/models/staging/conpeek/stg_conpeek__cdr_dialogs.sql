{{ trunkline.staged('conpeek', 'cdr_dialogs') }}
