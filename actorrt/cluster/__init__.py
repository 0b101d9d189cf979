"""Many nodes as one runtime: what they have in common, and who belongs to them."""
