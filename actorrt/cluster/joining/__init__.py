"""How a node joins a cluster: the conversation of a join, and the TLS port on which it takes place."""
