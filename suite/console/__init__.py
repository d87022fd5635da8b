"""The texts, tables and bars that a terminal shows."""
