"""An experiment: one TOML file, validated whole before anything starts."""
