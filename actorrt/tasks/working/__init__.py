"""A worker's side of tasks: which task runs next, how it runs and waits, and how its outcome is sent."""
