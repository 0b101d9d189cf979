"""The algorithms, a file for each: settings that users see, presets, and update rules that learners call."""
