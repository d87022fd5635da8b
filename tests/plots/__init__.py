"""Tests of suite.plots."""
