"""Published head models, brought into facefit's format."""
