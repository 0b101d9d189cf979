"""Leases: which worker of a node runs the tasks of which submitter."""
