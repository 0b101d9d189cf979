"""The reinforcement-learning library: roles as ordinary actors, algorithms as ordinary code over `stream`."""
