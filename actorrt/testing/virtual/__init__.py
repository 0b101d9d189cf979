"""A loop in virtual time that runs several simulated processes, and refuses what can't be repeated from a seed."""
