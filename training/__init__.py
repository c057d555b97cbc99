"""Training of the networks that facefit ships; nothing here is installed with it."""
