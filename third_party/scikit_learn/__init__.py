"""The peer scikit-learn: see README.md beside this file."""
