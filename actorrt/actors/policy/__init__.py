"""What actors, supervisors and callers decide: pure classes that are told events and the time."""
