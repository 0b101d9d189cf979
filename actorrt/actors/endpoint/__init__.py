"""An endpoint: all its parts put together, and what it tells of itself."""
