"""The descent: from an observation to the parameters that explain it."""
