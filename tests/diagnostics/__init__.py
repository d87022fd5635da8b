"""Tests of suite.diagnostics."""
