"""Carries envelopes from the endpoint of one process to the endpoint of another.

The layers above use `interfaces` only: they pass in a `Receiver`, and send on a `Link`. `frames` encodes and decodes,
and `links` has the parts that all transports share. `memory`, `unix` and `zeromq` are the transports.
"""
