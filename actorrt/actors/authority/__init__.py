"""The authority over actors: it knows which actors live and where they run, and decides what follows an end."""
