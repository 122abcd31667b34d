"""The peer constriction: see README.md beside this file."""
