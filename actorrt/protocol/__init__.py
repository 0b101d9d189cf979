"""The messages between processes: the kinds of envelopes, and each request with its answer.

A module of verbs is named after the processes that answer: `authorities`, `hosts`, `nodes`, `processes`; `objects` has
the requests about objects, which nodes answer.
"""
