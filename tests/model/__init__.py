"""Tests of suite.model."""
