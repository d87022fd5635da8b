"""The execution of the runs of an experiment, which several commands and machines can share."""
