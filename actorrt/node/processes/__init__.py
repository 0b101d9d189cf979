"""Processes of a node: the zygote that forks workers, the watches that reap them, and their output."""
