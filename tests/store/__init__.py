"""Tests of suite.store."""
