"""What a face is made of: parts, landmarks and label maps, as plain data."""
