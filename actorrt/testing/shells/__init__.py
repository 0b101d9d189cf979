"""Fakes of what lies outside of the runtime; they fail as the real things fail: network, processes, store, ids."""
