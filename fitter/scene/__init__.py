"""Model, parameters and camera together: surface, pixels, landmarks, part picture."""
