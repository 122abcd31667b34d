"""Tests of compressed gradients."""
