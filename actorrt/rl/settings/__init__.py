"""The settings that all algorithms have in common."""
