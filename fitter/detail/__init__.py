"""The surface beyond the model's components: what shading tells of it."""
