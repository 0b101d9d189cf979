"""What is known of a run and kept of it: progress, record, best policy, checkpoint, directory."""
