"""The roles of a run, which are ordinary actors."""
