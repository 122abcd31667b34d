"""The stages of a config as stages for the engine: methods by their dotted names, and five drivers."""

from experiments.stages.build import build, makers
from experiments.stages.execute import execute

__all__ = ["build", "execute", "makers"]
