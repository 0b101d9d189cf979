"""The command `actorrt train`."""
