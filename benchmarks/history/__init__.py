"""The history: how fast every revision was beside one pinned revision, and where that changed."""
