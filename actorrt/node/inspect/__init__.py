"""The commands `status`, `ps`, `tree` and `mem`, which show a node."""
