"""Media: the life of an upload from initiate to deletion. Knows nothing of messages."""
