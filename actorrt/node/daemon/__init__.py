"""The node: its core, the daemon process that runs it, and the node of local mode."""
