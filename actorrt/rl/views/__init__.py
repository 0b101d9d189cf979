"""Pictures and files that show a run: learning curves, films, CSV and TensorBoard's event files."""
