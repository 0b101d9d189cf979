"""The caller's side: calls that have not ended, routes to actors, streams, monitors."""
