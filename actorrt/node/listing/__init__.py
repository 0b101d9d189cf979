"""Answers what people ask: the workers, actors, tasks and objects of a node, and of the other nodes of its cluster."""
