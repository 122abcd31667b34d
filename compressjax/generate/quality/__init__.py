"""How good generated samples are."""

from compressjax.generate.quality._frechet import frechet_distance
from compressjax.generate.quality._nearest import Memorized, memorized
from compressjax.generate.quality._precision_recall import PrecisionRecall, precision_recall

__all__ = ["Memorized", "PrecisionRecall", "frechet_distance", "memorized", "precision_recall"]
