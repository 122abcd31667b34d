"""Activations by path, from Flax and through linear heads."""
