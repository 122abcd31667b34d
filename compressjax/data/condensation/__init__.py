"""Few rows in the place of many."""
