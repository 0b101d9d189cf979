"""The protocol between a store and its clients: messages, channels, and errors as plain data."""
