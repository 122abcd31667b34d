"""Weights of several losses, over time and against each other."""
