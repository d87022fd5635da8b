"""Claims put to the test: each has a statement, arms that it compares, and a verdict from recorded runs."""
