"""Automatic checks of the house rules. Every checker has a test that it rejects a bad sample."""
