"""One run: a configuration in, its metrics out."""
