"""Live queries: a list view that tells its clients of every later change."""
