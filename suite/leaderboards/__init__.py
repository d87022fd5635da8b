"""Leaderboards: ranked tables with intervals, their page, their files and their proof."""
