"""Objects between nodes: which are held where, and how they are read."""
