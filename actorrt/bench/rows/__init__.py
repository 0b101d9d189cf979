"""The rows of the benchmark: what each of them does, and their catalogue."""
