"""Tests of suite.training."""
