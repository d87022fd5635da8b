"""Functions of finished runs."""
