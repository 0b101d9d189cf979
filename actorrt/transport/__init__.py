"""How envelopes get from one process's endpoint to another's.

`protocol` holds the interfaces; `memory` and `zeromq` implement them. Actors, calls and credits are the business
of the layer above, which hands in a `Receiver`.
"""
