"""Scales of features."""
