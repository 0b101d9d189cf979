"""The authority over actors: which there are, where they run, what follows when one ends."""
