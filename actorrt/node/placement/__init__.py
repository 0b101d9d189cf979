"""Which worker hosts an actor, and what it reserves."""
