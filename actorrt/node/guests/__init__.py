"""What a node does for actors that belong to other nodes."""
