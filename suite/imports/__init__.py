"""Which file Python takes for a module: memspan's, an installed package's, or one of the user."""
