"""Head models that are networks: one of our own, and linear ones written as such."""
