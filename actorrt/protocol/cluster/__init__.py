"""What the nodes of a cluster say to each other, and processes to their node about other nodes."""
