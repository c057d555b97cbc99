"""Trains a learned observation of points and normals of the face on rendered people."""
