"""The portfolio of a running system, and of a replay: when accounts are counted, and how cut points reach them."""
