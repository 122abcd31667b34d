"""Losses for transformers and language models."""
