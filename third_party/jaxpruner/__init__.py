"""The peer jaxpruner: see README.md beside this file."""
