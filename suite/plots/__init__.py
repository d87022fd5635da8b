"""Pictures of runs and of what they show, one kind per file; ``style`` is the look of all."""
