"""Tasks: functions that run on the workers of a node, one worker lent to one submitter at a time."""
