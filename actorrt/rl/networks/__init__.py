"""The spec of a policy, the layout of its flat vector, and the networks that learn over that vector."""
