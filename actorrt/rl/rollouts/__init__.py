"""Rollouts: environments stepped, fragments, and the stream that hands them to a learner."""
