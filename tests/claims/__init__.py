"""Tests of suite.claims."""
