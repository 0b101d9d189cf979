"""The transport between machines, on ZeroMQ."""
