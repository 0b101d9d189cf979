"""Observations and actions as rows of numbers: their spaces, normalisation, sampling and distributions."""
