"""What callers of actors hold: refs, replies and groups; and how they wait."""
