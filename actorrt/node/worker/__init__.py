"""The process of a worker: its main function, and its standard output."""
