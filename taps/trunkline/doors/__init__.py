"""Ways to use a tap from outside: the Singer command, the Airbyte source, the docs page, the command `trunkline`."""
