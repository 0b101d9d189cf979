"""The driver: starts or finds a node, connects to it, and prints the output of actors."""
