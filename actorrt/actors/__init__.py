"""Actors: state behind a mailbox, refs, calls, supervision. Builds on `transport` and `store`, knows no processes."""
