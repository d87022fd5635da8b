"""From runs to a ranked table with intervals."""
