"""Cameras, rotations, similarities and triangle meshes, of anything."""
