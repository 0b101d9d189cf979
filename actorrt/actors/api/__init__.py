"""The public functions and the base class of actors."""
