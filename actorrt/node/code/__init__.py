"""Brings the code of a driver to the nodes that lack it."""
