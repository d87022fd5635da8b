"""The speed of cells, of whole runs and of the scheduler."""
