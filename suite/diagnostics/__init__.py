"""The gradient flow of a model: pure functions that measure what its skill does not say."""
