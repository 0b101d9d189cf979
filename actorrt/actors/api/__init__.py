"""What users call, beside refs."""
