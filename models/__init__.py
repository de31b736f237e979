"""What the data is: contracts of input and output events, the policy, an account's state and its codec."""
