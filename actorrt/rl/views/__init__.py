"""Pictures and texts that show a run: its progress line, learning curves, films, CSV and TensorBoard's event files."""
