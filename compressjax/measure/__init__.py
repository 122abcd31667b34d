"""Measuring: bytes, speed, agreement. Pure functions that return numbers and print nothing."""

from compressjax.measure._interval import Proportion, wilson
from compressjax.measure._latency import Ratio, Timings, interleaved, speedups

__all__ = ["Proportion", "Ratio", "Timings", "interleaved", "speedups", "wilson"]
