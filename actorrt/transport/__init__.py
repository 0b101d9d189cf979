"""How envelopes get from one process's endpoint to another's.

`interfaces` is what the layers above know: they hand in a `Receiver`, and send on a `Link`. `frames` is about bytes,
`links` holds what all transports have in common; `memory`, `unix` and `zeromq` each move bytes in their own way.
"""
