"""Bytes: envelopes, the frames they leave in, what is kept of them, and how they lie on a stream."""
