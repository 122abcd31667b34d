"""Pretrained networks through several methods, with one table at the end."""
