"""The portfolio: a census of each partition, merged into cut points, and values ranked in them."""
