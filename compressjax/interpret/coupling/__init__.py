"""`couplings`: which axes of which weights must be pruned together."""
