"""What evolutionary algorithms have in place of rollouts: explorers, work items, sums of directions."""
