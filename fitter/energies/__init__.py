"""Terms of the sum that a fit descends: pure functions of projected points and pixels."""
