"""Chunks by brute force, and their likelihoods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from compressjax import distill


def offsets(draw: np.random.Generator, length: int) -> list[tuple[int, int]]:
    cuts = [0, *np.flatnonzero(draw.random(length - 1) < 0.4) + 1, length]
    return list(zip(cuts[:-1], cuts[1:]))


def test_chunks_are_the_smallest_common_ones(draw: np.random.Generator) -> None:
    for _ in range(20):
        a, b = offsets(draw, 12), offsets(draw, 12)
        found = distill.align_spans(a, b)
        common = sorted({x for x, _ in a} & {x for x, _ in b} | {12})
        assert found.chunks == len(common) - 1
        for side, places in ((a, found.student), (b, found.teacher)):
            for (begin, end), chunk in zip(side, places):
                assert common[chunk] <= begin < end <= common[chunk + 1]


def test_spaces_special_tokens_and_cut_texts() -> None:
    """Words without their spaces fit words with them; what one side does not cover belongs to no chunk."""
    found = distill.align_spans([(0, 0), (0, 5), (6, 11), (0, 0)], [(0, 5), (5, 11)])
    assert (found.student.tolist(), found.teacher.tolist(), found.chunks) == ([-1, 0, 1, -1], [0, 1], 2)
    found = distill.align_spans([(0, 2), (2, 4), (4, 6)], [(2, 3), (3, 4)])
    assert (found.student.tolist(), found.teacher.tolist(), found.chunks) == ([-1, 0, -1], [0, 0], 1)
    found = distill.align_spans([(0, 1), (0, 1), (1, 2)], [(0, 1), (1, 2)])  # bytes of one character
    assert (found.student.tolist(), found.chunks) == ([0, 0, 1], 2)
    assert distill.align_spans([], [(0, 3)]).chunks == 0


def test_loss(key: jax.Array) -> None:
    student, teacher = (-2 * jax.random.uniform(k, (2, n)) for k, n in zip(jax.random.split(key), (4, 3)))
    own, its = np.array([[0, 0, 1, 2], [0, 1, -1, -1]]), np.array([[0, 1, 2], [0, 0, 1]])
    values = []
    for i, count in enumerate((3, 2)):
        for c in range(count):
            sums = [np.asarray(x, np.float64)[i][at[i] == c].sum() for x, at in ((student, own), (teacher, its))]
            q, p = np.exp(np.array(sums) / 10)
            values.append(scipy.special.rel_entr([p, 1 - p], [q, 1 - q]).sum())
    got = distill.span_loss(student, teacher, jnp.asarray(own), jnp.asarray(its), chunks=3, temperature=10)
    np.testing.assert_allclose(got, np.mean(values), rtol=1e-4)


@pytest.mark.thorough
def test_certain_tokens_stay_finite() -> None:
    one, certain = jnp.zeros((1, 1), int), jnp.zeros((1, 1))
    got, slopes = jax.value_and_grad(lambda s: distill.span_loss(s, certain, one, one, chunks=1))(certain)
    assert got == 0
    np.testing.assert_array_equal(slopes, 0)


@pytest.mark.parametrize("own", [0.0, -1e-5, -1e-3])
def test_a_student_that_is_too_certain_gets_the_gradient_of_the_floor(own: float) -> None:
    one, x, p, temperature = jnp.zeros((1, 1), int), min(own / 10, -1e-6), np.exp(-0.3 / 10), 10

    def loss(s: jax.Array) -> jax.Array:
        return distill.span_loss(s, jnp.full((1, 1), -0.3), one, one, chunks=1, temperature=temperature)

    slope = jax.grad(loss)(jnp.full((1, 1), own))
    exact = (-p + (1 - p) * np.exp(x) / -np.expm1(x)) / temperature  # d/dx of KL(b(p) || b(e^x))
    np.testing.assert_allclose(slope, [[exact]], rtol=1e-4)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="teacher_offsets go backwards"):
        distill.align_spans([(0, 1)], [(1, 2), (0, 1)])
    with pytest.raises(ValueError, match="student_offsets of shape .* pairs of integers"):
        distill.align_spans([0, 1], [(0, 1)])
    one = jnp.zeros((1, 1), int)
    with pytest.raises(ValueError, match=r"teacher \(1, 2\) with chunks \(1, 1\)"):
        distill.span_loss(jnp.zeros((1, 1)), jnp.zeros((1, 2)), one, one, chunks=1)
