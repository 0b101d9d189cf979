"""The algorithms: settings that users see, and update rules that learners call."""
