"""Rollouts: policies rolled out in environments, fragments, and the stream that hands these to a learner."""
