"""What a policy looks like, the layout of its flat vector, and the networks that learn over it."""
