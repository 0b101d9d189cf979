"""The transport between processes of one machine, on Unix stream sockets."""
