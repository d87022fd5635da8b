"""Tests of suite.leaderboards."""
