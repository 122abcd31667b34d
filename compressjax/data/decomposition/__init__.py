"""Few directions instead of many features."""
