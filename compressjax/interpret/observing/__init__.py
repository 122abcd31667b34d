"""`observe`: statistics of the inputs of weights."""
