"""Configs: data only. The docstring of each file has the paper, the command, the time and the expected result."""
