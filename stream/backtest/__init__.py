"""What-if: one history under two policies, and what would have been different."""
