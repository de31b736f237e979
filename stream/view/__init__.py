"""The Redis view: the topics `snapshots`, `tier-changes` and `churn-risk`, arranged for questions."""
