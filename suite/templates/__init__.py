"""Files to begin with: a cell, a layer, a task, an experiment and a claim, which ``memspan new`` copies."""
