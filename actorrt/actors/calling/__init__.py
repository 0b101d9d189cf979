"""The caller's side: pending calls, routes to actors, streams that are read, monitors."""
