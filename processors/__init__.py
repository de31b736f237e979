"""What is computed: pure functions of state, event and context. No clock, no I/O, no logging, no randomness."""
