"""Configs: data only. The head of each file says paper, command, time and the number to expect."""
