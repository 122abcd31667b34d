"""The NumPy decoder against formulas written as loops, and against the nodes themselves."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import tensors
from compressjax.coding import ArtifactError, Bits, materialize
from tests.coding.samples import mask, shared, weights


def spec(node, fields, **meta):
    return {"node": node, "meta": meta, "fields": fields}


def test_masked_codebook_by_a_loop():
    made = shared(0, 8, 5)
    book, kept = made["fields"]["value"]["fields"], made["fields"]["mask"]
    dense = materialize(made)
    for i, j in np.ndindex(8, 5):
        assert dense[i, j] == (book["centroids"][book["codes"][i, j]] if kept[i, j] else 0)
    assert dense.dtype == np.float32


def test_batched_codebook():
    codes = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert materialize(spec("Codebook", {"centroids": table, "codes": codes})).tolist() == [[1, 2, 2], [4, 3, 4]]


def test_low_rank_is_a_contraction():
    left, right = weights(0, 3, 3, 4, 2), weights(1, 2, 5)
    dense = materialize(spec("LowRank", {"left": left, "right": right}, inputs=3))
    np.testing.assert_allclose(dense, np.einsum("abcr,ro->abco", left, right), rtol=1e-5)
    left, right = weights(2, 6, 4, 2), weights(3, 6, 2, 5, 3)
    dense = materialize(spec("LowRank", {"left": left, "right": right}, inputs=1))
    np.testing.assert_allclose(dense, np.einsum("bir,broh->bioh", left, right), rtol=1e-5)


@pytest.mark.parametrize("order", [(), (1, 0), (0, 1)])
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_quantized_equals_the_node(order, groups, name):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (4, 6) if order == (1, 0) else (6, 4)).astype(np.uint8)
    scale, zero = np.abs(weights(1, groups, 4)), rng.integers(0, 16, (groups, 4)).astype(np.int32)
    fields = {"codes": codes, "scale": scale, "zero_point": zero, "activation_scale": None}
    dense = materialize(spec("Quantized", fields, bits=4, order=order, dtype_name=name, activation=None))
    node = tensors.Quantized(jnp.asarray(codes), jnp.asarray(scale), jnp.asarray(zero), None, 4, order, None, name)
    assert dense.shape == node.shape
    assert dense.tolist() == np.asarray(node.materialize(), np.float32).tolist()


def test_sum_adds_its_terms():
    terms = (weights(0, 3, 3), shared(1, 3, 3))
    assert materialize(spec("Sum", {"terms": terms})).tolist() == (terms[0] + materialize(terms[1])).tolist()


def test_bfloat16_widens_exactly():
    x = np.array([1.5, -0.0, np.inf, 3e38, 1e-40], ml_dtypes.bfloat16)
    assert materialize(Bits("bfloat16", x.view(np.uint16))).tobytes() == x.astype(np.float32).tobytes()
    with pytest.raises(ArtifactError, match="needs the ml_dtypes package"):
        materialize(Bits("int4", np.zeros(3, np.uint8)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArtifactError, match="unknown node type 'Tucker'"):
        materialize(spec("Tucker", {}))
    with pytest.raises(ArtifactError, match="fields of a Codebook do not fit"):
        materialize(spec("Codebook", {"centroids": weights(0, 2), "codes": np.array([5])}))
    with pytest.raises(ArtifactError, match="fields of a Masked do not fit"):
        materialize(spec("Masked", {"value": weights(0, 2)}))
    with pytest.raises(ArtifactError, match="3 blocks do not tile an axis of 4"):
        materialize(spec("Quantized", {"codes": np.zeros((4, 2), np.int8), "scale": np.ones((3, 1))}))
    wide = spec("LowRank", {"left": np.zeros((10**5, 1), np.float32), "right": np.zeros((1, 10**5), np.float32)})
    with pytest.raises(ArtifactError, match=r"needs 40000000000 bytes, above max_bytes.*larger"):
        materialize(wide)


def test_masks_hide_what_is_not_a_number():
    kept = mask(0, 6, 4)
    dense = materialize(spec("Masked", {"value": np.where(kept, 1.0, np.nan), "mask": kept}))
    assert dense.tolist() == kept.astype(float).tolist()
