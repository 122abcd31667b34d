"""Tests of compressjax.federated."""
