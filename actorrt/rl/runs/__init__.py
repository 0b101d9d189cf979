"""One run: its plan, the loop that feeds the roles, callbacks, and the `Run` that users hold."""
