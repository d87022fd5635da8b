"""Claims put to the test: a statement, the arms that it compares, and a verdict from recorded runs."""
