"""Schedules: sparsity as a function of the step."""

from compressjax.prune.schedules._schedule import (
    Schedule,
    at_once,
    cubic,
    exponential,
    iterative,
    linear,
    periodic,
    polynomial,
)

__all__ = ["Schedule", "at_once", "cubic", "exponential", "iterative", "linear", "periodic", "polynomial"]
