"""The public test kit: what tests of actors need. It may use every layer, and no layer uses it."""
