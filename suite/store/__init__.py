"""Where runs are kept: the ledger, MLflow, and how to wait for them."""
