"""How a tap is used from outside: the Singer command, the Airbyte source, the docs page, the command `trunkline`."""
