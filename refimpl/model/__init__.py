"""Values at the bottom of the reference: they import nothing of ours but each other."""
