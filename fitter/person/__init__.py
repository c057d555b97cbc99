"""One person from several photos: one identity and albedo, a pose, expression, gaze and light for each photo."""
