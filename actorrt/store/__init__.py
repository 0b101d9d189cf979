"""The shared-memory object store: segments, objects, values, and the processes that hold them.

It knows nothing of actors and transports.
"""
