"""The finished runs of an experiment, and what is calculated from them."""
