"""A process's side of the store: putting, getting, refs, and waiting."""
