"""`actorrt bench`: measures the figures that the design promises, through the public API."""
