"""Users' environments: made, stepped one by one or as a vector, checked, and replaced when they fail."""
