"""A rig of one person: shapes carried to a surface, and the motion of another person put on it."""
