"""Sizes in theory, and what follows from them: entropies, description lengths, bounds on the error, code lengths."""

from compressjax.theory._bounds import catoni_bound, mcallester_bound, occam_bound, quad_bound
from compressjax.theory._certificate import Certificate, certify
from compressjax.theory._deep_compression import DeepCompressionSize, deep_compression_size
from compressjax.theory._description import DescriptionLength, description_length
from compressjax.theory._disagreement import disagreement_bound
from compressjax.theory._entropy import binary_entropy, empirical_entropy
from compressjax.theory._inverse_bounds import binomial_tail_bound, kl_bound
from compressjax.theory._prequential import Prequential, prequential_length

__all__ = [
    "Certificate", "DeepCompressionSize", "DescriptionLength", "Prequential", "binary_entropy", "binomial_tail_bound",
    "catoni_bound", "certify", "deep_compression_size", "description_length", "disagreement_bound", "empirical_entropy",
    "kl_bound", "mcallester_bound", "occam_bound", "prequential_length", "quad_bound",
]  # fmt: skip
