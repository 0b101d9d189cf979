"""Commands that show what a node does."""
