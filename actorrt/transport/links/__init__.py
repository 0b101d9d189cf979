"""What the transports have in common: links, what arrives over them, when they flush, who has fallen silent."""
