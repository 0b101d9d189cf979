"""One hosted actor: its mailbox, the execution of its messages, its start, its end."""
