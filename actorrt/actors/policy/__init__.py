"""Pure decisions: the options of actors and their checks, the supervision of children, the delays of restarts."""
