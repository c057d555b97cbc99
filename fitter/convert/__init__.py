"""A fit or a mesh, carried onto another head model."""
