"""Rows as combinations of a few atoms or features."""
