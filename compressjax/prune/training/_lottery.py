"""The lottery ticket: train, prune, rewind to early weights, and train again."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Selector, identity, kernels, matches, only, values
from compressjax.core._select import selected
from compressjax.core._settings import as_number, integers
from compressjax.numerics._counts import number_of
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
        masks: `{path: bool array}` of the round's training.
        start: Parameters at the start of the round: the early weights.
        trained: Parameters at the end of the round.
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
    """Runs iterative magnitude pruning with rewinding, one round at a time.

    .. math:: \\theta^{(r)} = train(\\theta_k \\odot M_r), \\qquad
        M_{r+1} = M_r \\odot [|\\theta^{(r)}| \\text{ among the } (1 - p) |M_r| \\text{ largest kept}]

    The first round is dense. Every later round starts from the same early weights `theta_k`: the initial ones or, as
    deep networks need, those after `k` steps. The caller trains, evaluates and decides when to stop. Saves bytes as
    `gradual`; no speed-up, and every round is a training run.

    Args:
        train: `train(params, compression) -> params`, the training run from `theta_k` on; the compression (`static`)
            holds the masks, for `as_optax` and for the view.
        params: Initial parameters.
        rounds: Rounds after the dense one, at least 0; None with `sparsities`.
        rate: Fraction of the kept weights that every round removes, in (0, 1).
        rates: `{pattern: rate}`, tried in order, for `scope="layer"`; `{".*head/kernel": 0.1}` for the paper's half
            rate at the output.
        sparsities: Ascending fractions of zeros of the rounds after the dense one, in place of `rounds` and `rate`.
        scope: `"layer"`: one ranking per leaf; `"global"`: one ranking over all leaves.
        pattern: Whole neurons or blocks, ranked by their mean magnitude. A round that would remove less than half a
            unit of a leaf removes none of it.
        early: `params -> theta_k`, the first `k` steps of dense training; the identity if None.
        selector: Leaves to prune; kernels if None.

    Yields:
        A `Ticket` per round, the dense one first.

    Raises:
        ValueError: If a setting is out of range or contradicts another, or the pattern does not fit a leaf.

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
    rounds, rate = *integers("lottery_ticket", rounds=rounds), as_number("lottery_ticket", "rate", rate)
    targets = _targets(rounds, rate, rates, sparsities, scope)
    units = check_pattern(pattern, 0.0, "global" if scope == "global" else "uniform", "lottery_ticket", fixed=False)
    flat = selected(params, "lottery_ticket", selector or kernels)
    # Refuse a bad pattern before the first training run.
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
    start = params if early is None else early(params)
    trained = train(start, identity())
    yield Ticket(masks, start, trained, 0.0)
    for target in targets:
        masks = prune(values(trained), masks, target)
        ticket = only(lambda path, leaf: path in chosen, static(masks=masks))
        trained = train(start, ticket)
        kept = sum(map(number_of, masks.values()))
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
        size, kept = (sum(map(f, masks.values())) for f in (jnp.size, number_of))
        return ranked(scores, {ALL: _left(size, kept, rate, target)}, pattern)
    shares = {path: next((r for s, r in rates.items() if matches(s, path, flat[path])), rate) for path in masks}
    left = {path: _left(x.size, number_of(masks[path]), shares[path], target) for path, x in scores.items()}
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
            raise ValueError(f"lottery_ticket: {name}={number} is outside (0, 1): the fraction that a round removes")
    if sparsities is None:
        if (rounds or 0) < 0:
            raise ValueError(f"lottery_ticket: rounds={rounds} is negative; give 0 for the dense training run only")
        return [None] * (rounds or 0)
    sparsities = [check_sparsity(sparsity, "sparsities") for sparsity in sparsities]
    if list(sparsities) != sorted(sparsities):
        raise ValueError(f"lottery_ticket: sparsities={list(sparsities)} must ascend; masks only lose entries")
    return list(sparsities)
