"""How the model that comes with facefit is built."""
