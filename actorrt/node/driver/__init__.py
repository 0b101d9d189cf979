"""The side of a driver: how it starts or finds a node, and uses it."""
