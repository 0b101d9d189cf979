"""What the transports have in common: links, what arrives over them, when they flush, which peers are silent."""
