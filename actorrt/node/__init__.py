"""The node: its daemon, its zygote, its workers, and how their processes begin, are watched and end."""
