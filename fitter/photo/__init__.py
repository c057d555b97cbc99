"""From a picture file to pixels, focal length and window."""
