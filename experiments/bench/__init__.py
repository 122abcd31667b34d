"""Measurements: one file per study; one harness times the contenders, interleaved."""
