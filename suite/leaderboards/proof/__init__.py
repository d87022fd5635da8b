"""What proves a leaderboard: its manifest, and rows trained again."""
