"""Sizes in theory, and what follows from them: entropies, description lengths, bounds on the error, code lengths."""

from compressjax.theory._bounds import catoni_bound, mcallester_bound, occam_bound, quad_bound
from compressjax.theory._certificate import Certificate, certify
from compressjax.theory._deep_compression import DeepCompressionSize, deep_compression_size
from compressjax.theory._deep_compression_measured import deep_compression_measured
from compressjax.theory._description import DescriptionLength, description_length
from compressjax.theory._disagreement import disagreement_bound
from compressjax.theory._entropy import binary_entropy, empirical_entropy
from compressjax.theory._inverse_bounds import binomial_tail_bound, kl_bound
from compressjax.theory._learned_codebook import as_codebook, round_to_codebook, start_codebook
from compressjax.theory._message import Message, read_message, write_message
from compressjax.theory._prequential import Prequential, prequential_length
from compressjax.theory._rate_distortion import RatePoint, gaussian_rate, rate_distortion
from compressjax.theory._subspace import PROJECTIONS, Subspace, subspace
from compressjax.theory.lossless import (
    BitsBack,
    Online,
    OnlineState,
    decode_bytes,
    decode_rows,
    decode_tokens,
    encode_bytes,
    encode_rows,
    encode_tokens,
    online,
)

__all__ = [
    "PROJECTIONS", "BitsBack", "Certificate", "DeepCompressionSize", "DescriptionLength", "Message", "Online",
    "OnlineState", "Prequential", "RatePoint", "Subspace", "as_codebook", "binary_entropy", "binomial_tail_bound",
    "catoni_bound", "certify", "decode_bytes", "decode_rows", "decode_tokens", "deep_compression_measured",
    "deep_compression_size", "description_length", "disagreement_bound", "empirical_entropy", "encode_bytes",
    "encode_rows", "encode_tokens", "gaussian_rate", "kl_bound", "mcallester_bound", "occam_bound", "online",
    "prequential_length", "quad_bound", "rate_distortion", "read_message", "round_to_codebook", "start_codebook",
    "subspace", "write_message",
]  # fmt: skip
