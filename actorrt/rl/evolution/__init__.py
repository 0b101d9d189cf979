"""The counterpart of rollouts in evolutionary algorithms: explorers, work items, sums of directions."""
