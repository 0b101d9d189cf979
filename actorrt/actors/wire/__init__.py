"""What travels between endpoints: values, errors, control messages, credits."""
