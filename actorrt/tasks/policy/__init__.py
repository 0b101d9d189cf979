"""Pure decisions of a submitter: which task waits, is ready or was sent, and what follows when a worker is lost."""
