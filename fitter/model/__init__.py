"""The face model as a value, its file, and which models there are."""
