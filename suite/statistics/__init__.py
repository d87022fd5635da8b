"""How sure a comparison is; knows nothing of experiments."""
