"""How processes of the nodes of a cluster find each other, and hear of each other's ends."""
