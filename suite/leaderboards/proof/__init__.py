"""The proof of a leaderboard: its manifest, and rows that are trained again."""
