"""The model that is made of cells: its size, its states, and its file."""
