"""Any Python value as the bytes of an object or a message, and back."""
