"""The node: its core, its daemon, and the node of local mode."""
