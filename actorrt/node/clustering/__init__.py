"""A node as part of a cluster: how it begins or joins one, and what it then does for the others."""
