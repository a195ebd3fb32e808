"""Prove: whether a window adds up. What does not is read again, then in smaller windows, and then it is an error."""
