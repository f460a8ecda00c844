"""The containers that the daemon knows, and what is checked and written of each."""
