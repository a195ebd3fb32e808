{{ trunkline.staged('evolux', 'agent_pauses') }}
