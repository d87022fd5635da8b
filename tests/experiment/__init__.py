"""Tests of suite.experiment."""
