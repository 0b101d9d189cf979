"""Processes: the zygote that forks workers, what watches and ends them, and their output."""
