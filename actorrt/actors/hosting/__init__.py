"""All that one endpoint hosts, and how authorities and callers reach it."""
