"""Policies, which turn observations into actions; their files and exports."""
