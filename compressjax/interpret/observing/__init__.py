"""`observe`: statistics of what weights are multiplied with."""
