"""Grids that are trained with the weights."""
