"""Rows of the benchmark and their samples, the description of the machine, and the table of results."""
