"""What several test folders share: comparisons by bytes, and nodes recomputed with NumPy loops."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from compressjax import core, tensors
from compressjax.tensors.quantized._tables import TABLES
from compressjax.testing._compare import array, describe, difference, epsilon, float64, same_bits
from tests import toys

__all__ = [
    "FLOATS", "array", "brute", "brute_bits", "describe", "difference", "epsilon", "float64", "quick", "same_bits",
]  # fmt: skip

FLOATS = ("float32", "bfloat16", "float16")


def quick(cases: Iterable[Any], *chosen: Any) -> list[Any]:
    """Cases for `parametrize`: those chosen always run, the others are thorough."""
    found = list(cases)
    assert all(case in found for case in chosen), chosen

    def thorough(case: Any) -> Any:
        return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.thorough)

    return [case if case in chosen else thorough(case) for case in found]


def brute(x: Any) -> np.ndarray:
    """The dense tensor of an array or node in double precision, entry by entry from the equations."""
    if not isinstance(x, core.Node):
        return float64(x)
    return next(f for kind, f in _BRUTE.items() if isinstance(x, kind))(x)


def _masked(x: tensors.Masked) -> np.ndarray:
    full, mask = brute(x.value), np.asarray(x.mask)
    out = np.zeros(mask.shape)
    for i in np.ndindex(*mask.shape):
        if mask[i]:
            out[i] = full[i]
    return out


def _low_rank(x: tensors.LowRank) -> np.ndarray:
    left, right = brute(x.left), brute(x.right)
    batch = left.shape[: left.ndim - 1 - x.inputs]
    inputs, outputs = left.shape[len(batch) : -1], right.shape[len(batch) + 1 :]
    out = np.zeros((*batch, *inputs, *outputs))
    for b in np.ndindex(*batch):
        for i in np.ndindex(*inputs):
            for o in np.ndindex(*outputs):
                out[(*b, *i, *o)] = sum(left[(*b, *i, r)] * right[(*b, r, *o)] for r in range(left.shape[-1]))
    return out


def _quantized(x: tensors.Quantized) -> np.ndarray:
    codes, scale = float64(x.codes), brute(x.scale)
    if x.table is not None:
        codes = np.asarray(TABLES[x.table], np.float64)[np.asarray(x.codes)]
    zero = np.zeros(scale.shape) if x.zero_point is None else float64(x.zero_point)
    lead = codes.ndim - len(x.order)
    stored = [*range(lead), *(lead + axis for axis in x.order)]
    shape = [0] * codes.ndim
    for place, axis in enumerate(stored):
        shape[axis] = codes.shape[place]
    out = np.zeros(shape)
    for i in np.ndindex(*shape):
        block = tuple(i[a] * scale.shape[a] // shape[a] for a in range(len(shape)))
        out[i] = scale[block] * (codes[tuple(i[axis] for axis in stored)] - zero[block])
    return out


def _codebook(x: tensors.Codebook) -> np.ndarray:
    table, codes = brute(x.centroids), np.asarray(x.codes).astype(int)
    out = np.zeros(codes.shape)
    for i in np.ndindex(*codes.shape):
        out[i] = table[(*i[: table.ndim - 1], codes[i])]
    return out


def _block_diagonal(x: tensors.BlockDiagonal) -> np.ndarray:
    blocks, inputs, outputs = brute(x.blocks), np.asarray(x.inputs), np.asarray(x.outputs)
    out = np.zeros((*blocks.shape[:-3], inputs.shape[-2] * inputs.shape[-1], outputs.shape[-2] * outputs.shape[-1]))
    for *lead, b, i, o in np.ndindex(*blocks.shape):
        out[(*lead, inputs[(*lead, b, i)], outputs[(*lead, b, o)])] = blocks[(*lead, b, i, o)]
    return out


def _tucker(x: tensors.Tucker) -> np.ndarray:
    left, core, right, b = brute(x.left), brute(x.core), brute(x.right), x.left.ndim - 2
    i, o = core.ndim + x.inputs, core.ndim + x.outputs
    out = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        for r in range(left.shape[-1]):
            for q in range(right.shape[-2]):
                place = tuple(r if a == i else q if a == o else k for a, k in enumerate(at))
                out[at] += left[(*at[:b], at[i], r)] * core[place] * right[(*at[:b], q, at[o])]
    return out


def _cp(x: tensors.CP) -> np.ndarray:
    factors, b = [brute(f) for f in x.factors], x.factors[0].ndim - 2
    out = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        rows = [f[(*at[:b], k)] for f, k in zip(factors, at[b:])]
        out[at] = sum(math.prod(row[r] for row in rows) for r in range(factors[0].shape[-1]))
    return out


def _tensor_train(x: tensors.TensorTrain) -> np.ndarray:
    """Digits of row and column numbers choose one matrix of every core."""
    cores, lead = [brute(c) for c in x.cores], x.cores[0].shape[:-4]
    sides = [[c.shape[axis] for c in cores] for axis in (-3, -2)]
    out = np.zeros((*lead, math.prod(sides[0]), math.prod(sides[1])))
    for *at, i, o in np.ndindex(*out.shape):
        digits = zip(np.unravel_index(i, sides[0]), np.unravel_index(o, sides[1]))
        whole = np.ones((1, 1))
        for part, (k, j) in zip(cores, digits):
            whole = whole @ part[(*at, slice(None), k, j)]
        out[(*at, i, o)] = whole[0, 0]
    return out.reshape(x.shape)


def _kronecker(x: tensors.Kronecker) -> np.ndarray:
    left, right = brute(x.left), brute(x.right)
    lead = left.shape[:-3]
    made = [sum(map(np.kron, left[at], right[at])) for at in np.ndindex(*lead)]
    return np.reshape(made, x.shape)


def _weight_norm(x: tensors.WeightNorm) -> np.ndarray:
    inner, lengths = brute(x.inner), brute(x.magnitude)
    out = np.zeros(x.shape)
    for at in np.ndindex(*lengths.shape):
        own = tuple(slice(None) if n == 1 else slice(k, k + 1) for k, n in zip(at, lengths.shape))
        out[own] = lengths[at] * inner[own] / (math.sqrt(np.sum(inner[own] ** 2)) or 1.0)
    return out


def _scaled(x: tensors.Scaled) -> np.ndarray:
    out, scale = brute(x.inner), float64(x.scale)
    for i in np.ndindex(*out.shape):
        out[i] *= scale[tuple(k * b // n for k, b, n in zip(i, scale.shape, out.shape))]
    return out


def _vector_codebook(x: tensors.VectorCodebook) -> np.ndarray:
    table, codes, d = brute(x.centroids), np.asarray(x.codes), x.centroids.shape[-1]
    out = np.zeros(x.shape)
    for at in np.ndindex(*out.shape):
        place = list(at)
        place[x.axis] //= d
        lead, group = at[: table.ndim - 3], place[x.axis] * table.shape[-3] // codes.shape[x.axis]
        out[at] = table[(*lead, group, codes[tuple(place)], at[x.axis] % d)]
    return out


def _patterned(x: tensors.Patterned) -> np.ndarray:
    values, out = brute(x.values), np.zeros(x.shape)
    for at in np.ndindex(*out.shape):
        if x.pattern == "circulant":
            b, (i, j) = values.shape[-1], at[-2:]
            out[at] = values[(*at[:-2], i // b, j // b, (j - i) % b)]
        elif x.pattern == "toeplitz":
            out[at] = values[(*at[:-2], at[-1] - at[-2] + x.sizes[0] - 1)]
        else:
            lead = len(at) - len(x.sizes)
            h = int(np.ravel_multi_index(at[lead:], x.sizes)) ^ x.seed
            h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
            h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
            h ^= h >> 16
            out[at] = values[(*at[:lead], (h >> 1) % values.shape[-1])] * (-1) ** (h & 1)
    return out


_BRUTE = {
    tensors.VectorCodebook: _vector_codebook,
    tensors.Patterned: _patterned,
    tensors.BlockDiagonal: _block_diagonal,
    tensors.CP: _cp,
    tensors.Kronecker: _kronecker,
    tensors.TensorTrain: _tensor_train,
    tensors.Tucker: _tucker,
    tensors.WeightNorm: _weight_norm,
    tensors.Masked: _masked,
    tensors.LowRank: _low_rank,
    tensors.Quantized: _quantized,
    tensors.Codebook: _codebook,
    tensors.RoundedInputs: lambda x: brute(x.inner),
    tensors.Scaled: _scaled,
    tensors.Sum: lambda x: sum(brute(term) for term in x.terms),
}


def brute_bits(x: Any, kept: int | None = None) -> int:
    """Packed bits of an array or node, written once more from the definition of each layout."""
    if not isinstance(x, core.Node):
        width = 1 if x.dtype == bool else 8 * np.dtype(x.dtype).itemsize
        return width * (np.asarray(x).size if kept is None else kept)
    entries = math.prod(x.shape) if kept is None else kept
    match x:
        case tensors.Masked():
            ones = int(np.asarray(x.mask).astype(int).sum())
            return entries + brute_bits(x.value, ones if kept is None else min(ones, kept))
        case tensors.LowRank() | tensors.Kronecker():
            return brute_bits(x.left) + brute_bits(x.right)
        case tensors.Tucker():
            return brute_bits(x.left) + brute_bits(x.core) + brute_bits(x.right)
        case tensors.WeightNorm():
            return brute_bits(x.inner) + brute_bits(x.magnitude)
        case tensors.CP():
            return sum(map(brute_bits, x.factors))
        case tensors.TensorTrain():
            return sum(map(brute_bits, x.cores))
        case tensors.Quantized():
            parts = [p for p in (x.scale, x.zero_point, x.activation_scale) if p is not None]
            return entries * x.bits + sum(map(brute_bits, parts))
        case tensors.Codebook():
            width = math.ceil(math.log2(x.centroids.shape[-1]))
            return entries * width + brute_bits(x.centroids)
        case tensors.VectorCodebook():
            width = math.ceil(math.log2(x.centroids.shape[-2]))
            return np.asarray(x.codes).size * width + brute_bits(x.centroids)
        case tensors.Patterned():
            return brute_bits(x.values)
        case tensors.BlockDiagonal():
            sides = ((x.inputs, x.shape[-2]), (x.outputs, x.shape[-1]))
            return brute_bits(x.blocks) + sum(np.asarray(p).size * math.ceil(math.log2(n)) for p, n in sides)
        case tensors.Scaled():
            return brute_bits(x.inner, kept) + brute_bits(x.scale)
        case tensors.RoundedInputs():
            return brute_bits(x.inner, kept) + (0 if x.step is None else 32 * np.asarray(x.step).size)
        case tensors.Sum():
            return sum(brute_bits(term, kept) for term in x.terms)
        case toys.Ranged():
            return brute_bits(x.value, kept) + brute_bits(x.range)
    raise ValueError(f"no second opinion on the size of a {type(x).__name__}; write one here")
