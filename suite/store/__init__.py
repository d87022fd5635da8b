"""Where runs are kept: the ledger, MLflow, addresses and environments, and how to wait for them."""

import os

# MLflow reads these when it is imported, which only the files called mlflow_… do.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # which may hold a password
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # `retried` tries again, and says so
