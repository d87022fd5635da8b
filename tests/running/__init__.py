"""Tests of suite.running."""
