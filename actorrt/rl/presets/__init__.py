"""The settings of each algorithm by environment, which replace its defaults."""
