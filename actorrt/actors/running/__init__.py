"""The tasks in which the messages of all actors are handled."""
