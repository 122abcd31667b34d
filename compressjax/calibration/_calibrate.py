"""`calibrate`: compresses a function layer by layer, each from the inputs that the compressed layers before it make."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from compressjax.calibration._activations import Activations
from compressjax.calibration._folder import Finished, Folder
from compressjax.calibration._leaves import Leaves
from compressjax.calibration._plan import Plan, digests, make_plan
from compressjax.calibration._progress import Progress, peak
from compressjax.calibration._steps import Step, alike
from compressjax.core import Compression, Selector, nodes
from compressjax.core._checks import check_statistics
from compressjax.core._fit import Rules, compress_and_fit
from compressjax.core._node import is_node
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._unchanged import report_unchanged, unchanged
from compressjax.core._unfit import UnfitError, warn_left_out
from compressjax.interpret.jaxpr._records import Records, named
from compressjax.quant import clip_activations
from compressjax.quant.grids._grid import Clip


def calibrate(
    fn: Callable[..., Any],
    params: Any,
    batches: Iterable[tuple[Any, ...]],
    rules: Rules,
    *,
    order: Iterable[Selector] | None = None,
    together: Iterable[Selector] = (),
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], Any] | None = None,
    unfit: str = "skip",
    on_unchanged: str = "raise",
    clip: Clip | None = None,
) -> Any:
    """Compresses the leaves of a function one after the other, each by statistics of its inputs in the compressed past.

    .. math:: T_i = T_{i-1} \\cup \\{c(W_i, H_i)\\}, \\quad H_i = \\sum_b X_{ib}^\\top X_{ib}, \\quad
        X_{ib} = \\text{the inputs of } W_i \\text{ in } lift(f)(T_{i-1}, b)

    Weights whose products read the same array, such as queries, keys and values, form one step: they see the same past.
    The trace of the function is cut at every step, and what every batch has become there is kept on the host, so that
    all steps together run the function once, and once more for every leaf that is read again before the last cut
    (a tied embedding, another `order`). One leaf's statistics are in memory at a time. The layers of a scanned stack
    are one leaf, so they are calibrated at once, from inputs of the dense stack.

    Args:
        fn: Any JAX function with the weights in its first argument.
        params: A tree of arrays and nodes.
        batches: Tuples of the arguments after the first; read again when needed, so no generator. One reading comes
            before all others, to check them.
        rules: As for `compress`.
        order: Selectors of the leaves that come first, in order; None for the order of their first products.
        together: Selectors; the leaves that one of them matches form one step.
        folder: Where finished steps are written, each as a whole. A run with the same arguments goes on from the first
            unfinished step, and its result is the same to the bit. None writes nothing.
        progress: Called with a `Progress` before the first step and after each; `print` shows peak memory, expected
            and measured.
        unfit: As for `compress`.
        on_unchanged: As for `compress`.
        clip: How `quant.clip_activations` lowers the ranges of static activations, `"mse"` for example, from histograms
            of the inputs; None takes the largest input.

    Returns:
        The tree with nodes in place of the compressed leaves. What was left out is listed in a `LeftOutWarning`.

    Raises:
        ValueError: If there are no batches, or one is not finite or not a tuple; if no batch reaches a leaf, or its
            inputs are not finite, by name; if no method reads what `clip` lowers; if the folder is of a calibration
            with other arguments, or damaged; and as `compress`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.quant import gptq
        >>> params = {"up": jnp.eye(4) + 0.1, "down": jnp.eye(4) - 0.1}
        >>> mlp = lambda p, x: jnp.tanh(x @ p["up"]) @ p["down"]
        >>> tree = calibrate(mlp, params, [(jnp.eye(4),), (jnp.ones((3, 4)),)], {".*": gptq(4)})
        >>> tree["down"].bits
        4

    Source: true-sequential quantization of Frantar et al., arXiv:2210.17323 (frantar2022).
    """
    plan = make_plan(fn, params, batches, rules, order, together, unfit, clip)
    store = None if folder is None else Folder(Path(folder), digests(plan, params))
    tree, left = _run(plan, params, batches, store, progress)
    ties = {path: first for path, first in plan.fit.tied.items() if first not in left}
    made = nodes(tree)
    tree = _with_leaves(tree, {path: made[first] for path, first in ties.items()})
    missed = plan.fit.left | left
    warn_left_out(missed, stacklevel=3)
    same = unchanged(params, tree)
    for name in dict.fromkeys(c.name for c in plan.methods.values()):
        paths = [p for p in plan.fit.taken if plan.methods[p].name == name and p not in missed]
        if paths:
            report_unchanged(name, paths, same, on_unchanged)
    return tree


def _run(
    plan: Plan, params: Any, batches: Iterable[Any], store: Folder | None, progress: Callable[[Progress], Any] | None
) -> tuple[Any, dict[str, str]]:
    """The tree with all steps done, and the reasons of leaves that their values showed not to fit."""
    tell = progress or (lambda state: None)
    tell(Progress(0, len(plan.steps), (), False, plan.expected, peak()))
    activations = Activations(plan.survey, batches, [plan.owner[path] for step in plan.steps for path in step])
    leaves, left = Leaves(nodes(params)), dict[str, str]()
    behind: list[tuple[Leaves, Step]] = []  # steps that were read, whose activations are not known yet
    for number, step in enumerate(plan.steps):
        finished = store.load(number, step) if store else None
        resumed = finished is not None
        behind.append((leaves, step))
        if finished is None:
            # By the same programs as in the run that was killed, so that activations are the same to the bit.
            for seen, one in behind:
                activations.advance(seen, [plan.owner[path] for path in one])
            behind = []
            finished = _compress(plan, params, leaves, step, activations)
            finished = store.save(number, step, finished) if store else finished
        leaves = leaves.having(finished.leaves)
        left |= finished.left
        del finished  # held packed from now on
        tell(Progress(number + 1, len(plan.steps), step, resumed, plan.expected, peak()))
    behind.clear()
    del activations
    return _with_leaves(params, leaves.take()), left


def _compress(plan: Plan, params: Any, leaves: Leaves, step: Step, activations: Activations) -> Finished:
    """Compresses the leaves of one step; all others may be as they were given, because methods see one leaf."""
    own = sorted({plan.owner[path] for path in step})
    before = after = _with_leaves(params, leaves.replaced(own))
    left: dict[str, str] = {}
    for paths in alike(step, plan.owner, plan.survey.lines):
        leaf = plan.owner[paths[0]]
        records = activations.observe(leaves, leaf) if plan.methods[paths[0]].needs else {}
        for path in paths:
            stats = _named(records, path, before)
            _check(stats)
            if plan.clip is not None:
                stats |= clip_activations({p: s for p, s in stats.items() if s.histogram is not None}, plan.clip)
            after, reasons = _one(plan, after, path, stats)
            left |= reasons
            del stats
    made, old = nodes(after), nodes(before)
    return Finished({path: made[path] for path in own if made[path] is not old[path]}, left)


def _one(plan: Plan, tree: Any, path: str, stats: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    def alone(name: str, leaf: Any) -> bool:
        del leaf
        return name == path

    rules: dict[Selector, Compression] = {alone: plan.methods[path]}
    try:
        tree, found = compress_and_fit(
            tree, rules, stats or None, layout=plan.layout, unfit="skip", on_unchanged="ignore", warn=False
        )
    except ValueError as error:
        if not isinstance(error.__cause__, UnfitError):
            raise
        return tree, error.__cause__.reasons
    return tree, found.left


def _named(records: Records, path: str, tree: Any) -> dict[str, Any]:
    """Statistics of one leaf, from the records of a leaf with the same inputs."""
    shape = tuple(nodes(tree)[path].shape)
    return named({dataclasses.replace(key, path=path): s for key, s in records.items()}, {path: shape})


def _check(stats: Mapping[str, Any]) -> None:
    """Refuses statistics of nothing, and those that are not finite."""
    try:
        check_statistics("calibrate", stats)
    except UnfitError as error:
        path, reason = next(iter(error.reasons.items()))
        raise ValueError(
            f"calibrate: {path!r}: {reason.partition(';')[0]}; give batches that reach it, or leave it out by the "
            "selector of a rule"
        ) from error


def _with_leaves(tree: Any, new: Mapping[str, Any]) -> Any:
    """The tree with other arrays or nodes in the place of some leaves."""
    return map_with_path(lambda path, x: new.get(path_string(path), x), tree, is_leaf=is_node)
