"""An endpoint, put together, and what it tells of itself."""
