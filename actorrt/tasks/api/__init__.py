"""What users call: the decorator, `map`, and the task in hand."""
