"""The tasks that messages are handled in, whichever actor they are for."""
