"""A cell made into a model: its size, its states, its file."""
