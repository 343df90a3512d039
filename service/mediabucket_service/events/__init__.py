"""What the store tells: notifications of objects that have arrived. Knows keys, not media."""
