"""What a store and its clients say to each other: messages, channels, and errors as plain data."""
