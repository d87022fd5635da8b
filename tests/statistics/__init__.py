"""Tests of suite.statistics."""
