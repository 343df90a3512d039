"""Webhooks: who is told what became of media. Knows media by their ids only."""
