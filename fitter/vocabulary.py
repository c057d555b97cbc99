"""What a user chooses from, for the command line to name before anything is loaded and for the library to accept."""

from __future__ import annotations

PRESETS = ("default", "paper", "fast")  # facefit.fit.config
ENERGIES = ("landmark", "dense", "prdl", "outline", "photometric", "perceptual")  # data terms
ASKED_FOR = ("perceptual",)  # those that no preset has: it needs a network of the user's own
RENDERERS = ("auto", "nvdiffrast", "cpu")
SEGMENTERS = ("auto", "parser", "color", "polygons")  # or a file
SPACES = ("model", "camera")  # of a written mesh: upright and facing +z, or as the camera sees it
TEXTURES = ("photo", "albedo")  # of a written mesh: with the light of the photo, or without
UNITS = ("mm", "m")  # of the numbers in OBJ and PLY, which do not say
MESH_SUFFIXES = (".obj", ".ply", ".glb", ".usdz", ".html")  # of a mesh; the last is a page that shows it

DETAIL_SUFFIXES = (".obj", ".glb", ".usdz", ".html")  # of meshes that hold a normal map
DENSE_SUFFIXES = (".obj", ".glb")  # of meshes that --subdivide makes finer
DENSEST = 2  # levels: each has four times the triangles

GPU_BATCH = 64  # faces fitted together on a GPU: an iteration of so many takes less than twice that of one
