"""Tests of suite.engines."""
