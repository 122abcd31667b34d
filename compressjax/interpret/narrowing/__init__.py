"""`narrow`: run a function at reduced widths."""
