"""The shared-memory object store: segments, objects, values, and who holds them.

It knows nothing of actors and transports.
"""
