"""Messages: what was said in a conversation, and which media it refers to. Knows media by their ids only."""
