"""Policies: what maps observations to actions, how it is stored, differentiated and exported."""
