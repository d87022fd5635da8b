"""The contracts of cells and tasks as lists of checks, which experiments and the contract tests share."""
