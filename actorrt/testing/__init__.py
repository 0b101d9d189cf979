"""The public test kit, for tests of actors. It may use every layer, and no layer uses it."""
