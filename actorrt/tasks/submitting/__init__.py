"""The submitter's side of tasks: arguments, refs to results, leases of workers, and what arrives for the tasks."""
