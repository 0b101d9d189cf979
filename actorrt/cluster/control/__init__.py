"""The control store: the few rows that all nodes of a cluster share, such as its members and names."""
