"""The parts that all transports share: links, the inbound side, flushing, acknowledgements, silent peers."""
