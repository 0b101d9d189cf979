"""Encodes envelopes into frames, checks and decodes frames, and keeps frames until they are acknowledged."""
