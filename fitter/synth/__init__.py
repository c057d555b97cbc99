"""People who do not exist: heads, paint, hair, clothes and things before them, drawn by code with exact truth."""
