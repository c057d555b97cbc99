"""What is seen in a photo: faces, landmarks, parts."""
