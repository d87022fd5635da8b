"""Tests of suite.kernels."""
