"""Supervisors and their children."""
