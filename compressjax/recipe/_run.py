"""The engine: runs stages in order, from the last valid checkpoint."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from compressjax.recipe._identity import chain_keys
from compressjax.recipe._stage import Metrics, Stage
from compressjax.recipe._store import Store, Stored


class Began(NamedTuple):
    """A stage starts or resumes after `step` steps; `history` holds the metrics so far."""

    stage: Stage
    step: int
    history: list[Metrics]


class Advanced(NamedTuple):
    """`step` steps of the stage are done; `saved` tells whether a checkpoint of this step is on disk."""

    stage: Stage
    step: int
    metrics: Metrics
    saved: bool


class Finished(NamedTuple):
    """The stage's result is on disk; `cached` tells whether it was there before."""

    stage: Stage
    result: Stored
    history: list[Metrics]
    cached: bool


Event = Began | Advanced | Finished


def run(stages: Sequence[Stage], store: Store, data: str) -> Iterator[Event]:
    """Runs a recipe as a generator of events; the caller decides what to show and when to stop.

    Skips finished stages whose key is in the store. An interrupted stage resumes after its last checkpoint. Chunks have
    fixed boundaries, so its result has the same bits as that of an uninterrupted run.

    Args:
        stages: Stages in order, with unique names.
        store: Store of checkpoints; recipes may share it.
        data: Fingerprint of the data.

    Yields:
        For each stage `Began`, then `Advanced` per chunk, then `Finished`; only `Finished` for a cached stage.

    Raises:
        ValueError: If two stages share a name.

    Example:
        >>> import tempfile
        >>> from compressjax.recipe import Stored
        >>> double = Stage("double", {}, start=lambda _: (None, 1), finish=lambda _, x: Stored(2 * x, {}))
        >>> [type(event).__name__ for event in run([double], Store(tempfile.mkdtemp()), data="none")]
        ['Began', 'Finished']
    """
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError(f"stage names must differ, got {names}; rename one of them")
    results: dict[str, Stored] = {}
    for stage, key in zip(stages, chain_keys(data, [(s.name, s.settings) for s in stages]), strict=True):
        folder = f"{stage.name}-{key[:16]}"
        store.sweep(folder)
        if store.has(f"{folder}/final"):
            held = store.load(f"{folder}/final")
            results[stage.name] = Stored(held.tree, held.facts["facts"])
            yield Finished(stage, results[stage.name], held.facts["history"], cached=True)
        else:
            yield from _run_stage(stage, store, folder, results)


def _run_stage(stage: Stage, store: Store, folder: str, results: dict[str, Stored]) -> Iterator[Event]:
    context, state = stage.start(results)
    step, history, last = 0, [], None
    saved = store.names(folder)
    if saved:
        last = saved[-1]
        held = store.load(last)
        state = _restore(state, held.tree)
        step, history = held.facts["step"], held.facts["history"]
    yield Began(stage, step, list(history))
    for first, count in stage.chunks(step):
        state, metrics = stage.advance(context, state, first, count)  # type: ignore[misc]  # set if there are steps
        step = first + count
        history.append({"step": step, **metrics})
        due = stage.saves_after(step)
        if due:
            name = f"{folder}/step-{step:09d}"
            store.save(name, jax.tree.leaves(state), {"step": step, "history": history})
            if last is not None:
                store.remove(last)
            last = name
        yield Advanced(stage, step, metrics, due)
    result = stage.finish(context, state)
    store.save(f"{folder}/final", result.tree, {"facts": result.facts, "history": history})
    for name in store.names(folder):
        if not name.endswith("/final"):
            store.remove(name)
    # Later stages get the result from disk, as in a resumed run.
    held = store.load(f"{folder}/final")
    results[stage.name] = Stored(held.tree, held.facts["facts"])
    yield Finished(stage, results[stage.name], history, cached=False)


def _restore(like: Any, leaves: list[Any]) -> Any:
    """Puts stored leaves into the structure and placement of a fresh state."""
    fresh, structure = jax.tree.flatten(like)
    if len(fresh) != len(leaves):
        raise ValueError(f"the code has changed since the checkpoint with {len(leaves)} arrays was written; delete it")
    placed = [
        jax.device_put(leaf, new.sharding) if isinstance(new, jax.Array) else leaf
        for leaf, new in zip(leaves, fresh, strict=True)
    ]
    return jax.tree.unflatten(structure, placed)
