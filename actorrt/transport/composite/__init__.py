"""The transport of a process whose node belongs to a cluster: one endpoint over Unix sockets and ZeroMQ."""
