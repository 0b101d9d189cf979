"""The state and the files of a run: progress, history, best policy, checkpoint, directory."""
