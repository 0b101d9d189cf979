"""What code holds of actors: refs, replies, groups, and how it waits for them."""
