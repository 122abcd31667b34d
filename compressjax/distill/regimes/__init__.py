"""Regimes: who teaches whom and when, with which weights a student starts, and what both see."""
