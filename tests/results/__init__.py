"""Tests of suite.results."""
