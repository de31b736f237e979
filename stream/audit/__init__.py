"""The audit of a running system: replays what the checkpoints say and compares every byte that was published."""
