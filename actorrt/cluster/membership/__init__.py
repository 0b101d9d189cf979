"""Which nodes belong to a cluster, and which of them live: rows in the control store, probes, leases and votes."""
