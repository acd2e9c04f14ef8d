"""What an answer says: its events or its body, read as far as the figures need."""
