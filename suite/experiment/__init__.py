"""An experiment: a TOML file that is checked before anything starts."""
