"""The roles of a run, ordinary actors all."""
