"""Model card, evaluation results, upload to the Hub, leaderboard."""
