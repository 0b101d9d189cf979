"""The jobs and workers of a node, and the placement of actors on workers."""
