"""A fit as files, and back."""
