"""A teacher's distributions on disk."""
