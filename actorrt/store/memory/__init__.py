"""The memory of a store: segments, allocation in them, views of them, and spill files."""
