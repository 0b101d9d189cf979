"""What processes say to each other: the kinds of envelopes, and each request with its answer."""
