"""The read side of account-health: typed answers from the Redis view, and the API that serves them."""
