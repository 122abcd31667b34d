"""The peer zstandard: see README.md beside this file."""
