"""The lottery ticket: train, prune, go back to early weights, and train what is left again."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Selector, identity, kernels, matches, only, values
from compressjax.core._select import select
from compressjax.prune.distributions._densities import ALL
from compressjax.prune.patterns._checks import check_pattern, check_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.patterns._ranked import ranked
from compressjax.prune.training._masking import Arrays
from compressjax.prune.training._static import static

Train = Callable[[Any, Compression], Any]


class Ticket(NamedTuple):
    """One round of `lottery_ticket`.

    Attributes:
        masks: `{path: bool array}` that the round trained under.
        start: Parameters at the start of the round: the early weights.
        trained: Parameters at its end.
        sparsity: Fraction of zeros over the masked leaves.
    """

    masks: Arrays
    start: Any
    trained: Any
    sparsity: float


def lottery_ticket(
    train: Train,
    params: Any,
    *,
    rounds: int | None = None,
    rate: float = 0.2,
    rates: Mapping[Selector, float] | None = None,
    sparsities: Sequence[float] | None = None,
    scope: str = "layer",
    pattern: str | Pattern = "unstructured",
    early: Callable[[Any], Any] | None = None,
    selector: Selector | None = None,
) -> Iterator[Ticket]:
    """Iterative magnitude pruning with rewinding, one round at a time.

    .. math:: \\theta^{(r)} = train(\\theta_k \\odot M_r), \\qquad
        M_{r+1} = M_r \\odot [|\\theta^{(r)}| \\text{ among the } (1 - p) |M_r| \\text{ largest kept}]

    The first round is dense. Every later one starts from the same early weights `theta_k`: those at the start, or
    after `k` steps, which deep networks need. The caller trains, evaluates and stops when it likes.

    Bytes as for `gradual`; no speed-up by itself, and `rounds` trainings to get there.

    Args:
        train: `train(params, compression) -> params`; the compression holds the masks (`static`), for `as_optax` and
            for the view. From `theta_k` it takes the remaining steps.
        params: Parameters at the start.
        rounds: Rounds after the dense one, at least 0; None with `sparsities`.
        rate: Fraction of the kept weights that every round removes, in (0, 1).
        rates: `{pattern: rate}` for some leaves, tried in order; `{".*head/kernel": 0.1}` for the paper's half rate at
            the output. With `scope="layer"` only.
        sparsities: Fractions of zeros of the rounds after the dense one, rising, in place of `rounds` and `rate`; as
            the MNIST-1D notebook has them.
        scope: `"layer"`: every leaf by itself; `"global"`: one ranking over all.
        pattern: What is removed together, by its mean size: whole neurons, blocks. A round that would remove less than
            half a unit of a leaf removes none of it.
        early: `params -> theta_k`, the first `k` steps of dense training; the identity when None.
        selector: Leaves to prune; kernels when None.

    Yields:
        A `Ticket` for every round, the dense one first.

    Raises:
        ValueError: If the settings contradict each other or are out of their range, or the pattern does not fit a leaf
            or fixes a density of its own.

    Example:
        >>> def train(params, compression):
        ...     seen = compression.view(params, compression.init(params))
        ...     return {"kernel": seen["kernel"] * jnp.arange(1.0, 5.0)}
        >>> tickets = list(lottery_ticket(train, {"kernel": jnp.ones((1, 4))}, rounds=2, rate=0.5))
        >>> [ticket.masks["kernel"].astype(int).tolist() for ticket in tickets]
        [[[1, 1, 1, 1]], [[0, 0, 1, 1]], [[0, 0, 0, 1]]]

    Source: Frankle and Carbin, arXiv:1803.03635 (frankle2019); rewinding: Frankle et al., arXiv:1912.05671
    (frankle2020); the sparsities of MNIST-1D: Greydanus and Kobak, arXiv:2011.14439 (greydanus2024).
    """
    targets = _targets(rounds, rate, rates, sparsities, scope)
    units = check_pattern(pattern, 0.0, "global" if scope == "global" else "uniform", "lottery_ticket", fixed=False)
    every = values(params)
    flat = {path: every[path] for path in select(every, selector or kernels, "lottery_ticket")}
    # What does not fit is told before the first training, not after it.
    jax.eval_shape(lambda: ranked(flat, {ALL: 1} if scope == "global" else dict.fromkeys(flat, 1), units))

    prune = partial(_prune, rate=rate, rates=dict(rates or {}), scope=scope, pattern=units)
    masks = {path: jnp.ones(x.shape, bool) for path, x in flat.items()}
    return _rounds(train, params, masks, targets, prune, early)


def _rounds(
    train: Train,
    params: Any,
    masks: Arrays,
    targets: list[float | None],
    prune: Callable[[Arrays, Arrays, float | None], Arrays],
    early: Callable[[Any], Any] | None,
) -> Iterator[Ticket]:
    chosen = set(masks)
    # The early weights are those of a dense training, once for all rounds.
    start = params if early is None else early(params)
    trained = train(start, identity())
    yield Ticket(masks, start, trained, 0.0)
    for target in targets:
        masks = prune(values(trained), masks, target)
        ticket = only(lambda path, leaf: path in chosen, static(masks=masks))
        trained = train(start, ticket)
        kept = sum(int(mask.sum()) for mask in masks.values())
        yield Ticket(masks, start, trained, 1 - kept / sum(mask.size for mask in masks.values()))


def _prune(
    flat: Arrays,
    masks: Arrays,
    target: float | None,
    rate: float,
    rates: Mapping[Selector, float],
    scope: str,
    pattern: Pattern,
) -> Arrays:
    scores = {path: jnp.where(mask, jnp.abs(flat[path]).astype(jnp.float32), -1.0) for path, mask in masks.items()}
    if scope == "global":
        size, kept = (sum(int(f(m)) for m in masks.values()) for f in (jnp.size, jnp.sum))
        return ranked(scores, {ALL: _left(size, kept, rate, target)}, pattern)
    shares = {path: next((r for s, r in rates.items() if matches(s, path, flat[path])), rate) for path in masks}
    left = {path: _left(x.size, int(masks[path].sum()), shares[path], target) for path, x in scores.items()}
    return ranked(scores, left, pattern)


def _left(size: int, kept: int, rate: float, target: float | None) -> int:
    """Number of entries of a pool that the next round keeps."""
    wanted = kept - math.floor(rate * kept + 1e-9) if target is None else size - math.floor(target * size + 1e-9)
    return max(min(wanted, kept), 1)


def _targets(
    rounds: int | None,
    rate: float,
    rates: Mapping[Selector, float] | None,
    sparsities: Sequence[float] | None,
    scope: str,
) -> list[float | None]:
    if scope not in ("layer", "global"):
        raise ValueError(f"lottery_ticket: scope={scope!r} is neither 'layer' nor 'global'")
    if (rounds is None) == (sparsities is None):
        raise ValueError(f"lottery_ticket: give rounds (got {rounds}) or sparsities (got {sparsities}), not both")
    if rates and (scope == "global" or sparsities is not None):
        raise ValueError("lottery_ticket: rates by pattern need scope='layer' and rounds")
    for name, number in [("rate", rate), *((f"rates[{pattern!r}]", r) for pattern, r in (rates or {}).items())]:
        if not 0.0 < number < 1.0:
            raise ValueError(f"lottery_ticket: {name}={number} is outside (0, 1): the share that a round removes")
    if sparsities is None:
        if (rounds or 0) < 0:
            raise ValueError(f"lottery_ticket: rounds={rounds} is negative; give 0 for the dense training alone")
        return [None] * (rounds or 0)
    for sparsity in sparsities:
        check_sparsity(sparsity, "sparsities")
    if list(sparsities) != sorted(sparsities):
        raise ValueError(f"lottery_ticket: sparsities={list(sparsities)} must rise; masks only lose entries")
    return list(sparsities)
