"""The keys of a cluster: its authority, the cards of its nodes, tokens that admit others, and TLS with these."""
