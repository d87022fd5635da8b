"""What an experiment has to run next, as a function of what is finished."""
