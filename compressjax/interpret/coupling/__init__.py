"""`couplings`: which dimensions of which weights must be cut together."""
