"""Getting an experiment done: alone, or together with others on the same store."""
