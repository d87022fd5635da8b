"""The runs that an experiment needs next, as a function of those that are finished."""
