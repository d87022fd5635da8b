"""The training of one run, from its configuration to its metrics."""

from suite.training import one_process  # noqa: F401  It comes first, because it imports Lightning with care.
