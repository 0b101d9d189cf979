"""Objects between nodes: holds at other nodes, and transfers of their bytes."""
