"""`actorrt bench`: measures what the design promises, with the public API only."""
