"""Arrays that NumPy lacks, and what cannot become a dense array; each decoder has its test in `tests/decoders`."""

import ml_dtypes
import numpy as np
import pytest

from compressjax.coding import ArtifactError, Bits, UnknownNode, materialize
from tests.coding.samples import spec, weights


def test_bfloat16_widens_exactly():
    x = np.array([1.5, -0.0, np.inf, 3e38, 1e-40], ml_dtypes.bfloat16)
    assert materialize(Bits("bfloat16", x.view(np.uint16))).tobytes() == x.astype(np.float32).tobytes()
    with pytest.raises(ArtifactError, match="needs the ml_dtypes package"):
        materialize(Bits("float8_e3m4", np.zeros(3, np.uint8)))


def test_small_types_widen_exactly():
    x = np.array([1.5, -0.0, 6.0], ml_dtypes.float4_e2m1fn)
    assert materialize(Bits("float4_e2m1fn", x.view(np.uint8))).tobytes() == x.astype(np.float32).tobytes()
    with pytest.raises(ArtifactError, match="a bit pattern is none of float4_e2m1fn; the file is damaged"):
        materialize(Bits("float4_e2m1fn", np.full(2, 16, np.uint8)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownNode, match="unknown node type 'Fractal'.*install the compressjax that wrote the file"):
        materialize(spec("Fractal", {}))
    with pytest.raises(UnknownNode, match="'lab:Fractal': NumPy has no decoder.*import the module that registers one"):
        materialize(spec("lab:Fractal", {}))
    with pytest.raises(ArtifactError, match=r"decoder of Masked gives shape \(2, 2\).*fields say \(2,\)"):
        materialize(spec("Masked", {"value": weights(0, 2, 2), "mask": np.ones(2, bool)}))
    with pytest.raises(ArtifactError, match="fields of a Codebook do not fit"):
        materialize(spec("Codebook", {"centroids": weights(0, 2), "codes": np.array([5])}))
    with pytest.raises(ArtifactError, match="fields of a Masked do not fit"):
        materialize(spec("Masked", {"value": weights(0, 2)}))
