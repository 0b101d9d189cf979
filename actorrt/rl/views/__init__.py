"""Who shows or notes down what a run does."""
