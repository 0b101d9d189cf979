"""What a row of the benchmark is, the machine it was measured on, and the table that shows it."""
