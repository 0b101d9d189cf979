"""The memory of a store: segments, where objects lie in them, views of them, and spill files."""
