"""The peer brotli: see README.md beside this file."""
