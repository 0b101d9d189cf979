"""Policies: how observations lead to actions, how policies are stored and exported."""
