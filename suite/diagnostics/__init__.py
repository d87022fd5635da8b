"""What is measured of a model beside its skill, one measure per file: pure functions of models, batches and runs."""
