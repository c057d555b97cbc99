"""A film of one person."""
