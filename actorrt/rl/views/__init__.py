"""Pictures and files that show a run: learning curves, films, TensorBoard's event files."""
