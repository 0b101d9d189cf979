"""A process's connection with its store: the channel, the backlog of messages, memory on loan, and reservations."""
