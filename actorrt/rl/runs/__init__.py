"""Runs: the plan, the loop that feeds the roles, evaluations, checkpoints, what is recorded."""
