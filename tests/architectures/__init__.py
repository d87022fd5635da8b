"""Tests of suite.architectures."""
