"""How envelopes get from one process's endpoint to another's.

`protocol` holds the interfaces; `memory`, `unix` and `zeromq` implement them. Actors, calls and credits are the
business of the layer above, which hands in a `Receiver`.
"""
