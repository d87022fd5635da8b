"""Pictures of runs and of their results, one kind per file; all share the look that ``style`` defines."""
