"""The rows of the benchmark: the functions that measure them, and their catalogue."""
