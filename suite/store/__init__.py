"""The store of runs: the ledger, MLflow's record, addresses, environments, and patience with a store that is away."""

import os

# MLflow reads these variables when it is imported, which only the files called mlflow_… do.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # The address may hold a password.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # `retried` tries again, and says so.
