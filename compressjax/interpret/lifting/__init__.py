"""`lift`: run a function on nodes, with a rule for each operation."""
