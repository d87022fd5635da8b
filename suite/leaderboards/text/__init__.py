"""A leaderboard as text."""
