"""`narrow`: run a function at the widths that are left."""
