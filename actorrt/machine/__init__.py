"""What a process takes from its machine: time, threads and disk, and all of these together, to be handed in."""
