"""The certainty of comparisons: intervals, tests and groups from plain tables of runs."""
