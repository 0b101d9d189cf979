"""A process's connection with its store: the channel, what is told later, memory on loan, and reservations."""
