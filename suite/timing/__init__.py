"""How fast cells, runs and the scheduler are."""
