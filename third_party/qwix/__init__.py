"""The peer qwix: see README.md beside this file."""
