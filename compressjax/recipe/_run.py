"""The engine: runs stages in order, from the last checkpoint that is whole."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from compressjax.recipe._digests import DamagedError
from compressjax.recipe._identity import chain_keys
from compressjax.recipe._saver import Saver, restore
from compressjax.recipe._stage import DivergedError, Metrics, Stage, check_stage
from compressjax.recipe._store import Store, Stored

_POLL_SECONDS = 0.25


class Began(NamedTuple):
    """A stage starts or resumes after `step` steps; `history` holds the metrics so far."""

    stage: Stage
    step: int
    history: list[Metrics]


class Advanced(NamedTuple):
    """`step` steps of the stage are done; `saved` tells whether a checkpoint of this step is on disk or on its way."""

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


class Waiting(NamedTuple):
    """Another run, `owner`, computes the stage; this event comes again until that run is done with it."""

    stage: Stage
    owner: str


class Refused(NamedTuple):
    """A checkpoint is damaged, and `reason` names the file; it is removed, and what it held is computed again."""

    stage: Stage
    name: str
    reason: str


class Stopped(NamedTuple):
    """The caller asked for a stop; all `step` steps of the stage are on disk. The last event."""

    stage: Stage
    step: int


Event = Began | Advanced | Finished | Waiting | Refused | Stopped


def run(
    stages: Sequence[Stage], store: Store, data: str, *, stop: Callable[[], bool] = lambda: False
) -> Generator[Event, None, None]:
    """Runs a recipe as a generator of events; the caller decides what to show and when to stop.

    Skips finished stages whose key is in the store. An interrupted stage resumes after its last checkpoint. Chunks have
    fixed boundaries, so its result has the same bits as that of an uninterrupted run. Checkpoints inside a stage are
    written while the next steps run; the last two stay, so that a damaged one is refused and computed again from the
    one before it. Of several runs that share a store, one computes a stage while the
    others wait; where the file system has no locks, all compute it, with equal results.

    Args:
        stages: Stages in order, with unique names.
        store: Store of checkpoints; recipes may share it, also at the same time.
        data: Fingerprint of the data.
        stop: Asked before every stage and after every chunk; if true, the state is saved and the run ends.

    Yields:
        For each stage `Began`, then `Advanced` per chunk, then `Finished`; only `Finished` for a cached stage. Before
        them `Waiting` and `Refused`, where there is reason. After a stop, `Stopped`, and nothing more.

    Raises:
        ValueError: If two stages share a name, a name cannot be a folder's, or a stage that advances has no steps.
        OSError: If the store cannot be written; before the first stage that would have to be.
        DivergedError: If a stage did, with the last state that is on disk.

    Example:
        >>> import tempfile
        >>> from compressjax.recipe import Stored
        >>> double = Stage("double", {}, start=lambda _: (None, 1), finish=lambda _, x: Stored(2 * x, {}))
        >>> [type(event).__name__ for event in run([double], Store(tempfile.mkdtemp()), data="none")]
        ['Began', 'Finished']
    """
    names = [stage.name for stage in stages]
    for i, stage in enumerate(stages):
        check_stage(stage, f"stages[{i}]")
    if len(set(names)) < len(names):
        raise ValueError(f"stage names must differ, got {names}; rename one of them")
    keys = chain_keys(data, [(stage.name, stage.settings) for stage in stages])
    folders = [f"{name}-{key[:16]}" for name, key in zip(names, keys)]
    if not all(store.has(f"{folder}/final") for folder in folders):
        store.probe(max(folders, key=len))
    results: dict[str, Stored] = {}
    for stage, folder in zip(stages, folders):
        lock = store.lock(folder)
        try:
            while not lock.acquire():
                yield Waiting(stage, lock.owner())
                if stop():
                    yield Stopped(stage, 0)
                    return
                time.sleep(_POLL_SECONDS)
            done = yield from _run_stage(stage, store, folder, results, stop)
        finally:
            lock.release()
        if not done:
            return


def _run_stage(
    stage: Stage, store: Store, folder: str, results: dict[str, Stored], stop: Callable[[], bool]
) -> Generator[Event, None, bool]:
    """Reads a stage's result or computes it; False if the run has to stop."""
    store.sweep(folder)
    held = yield from _recall(stage, store, f"{folder}/final")
    if held is not None:
        results[stage.name] = Stored(held.tree, held.facts["facts"])
        yield Finished(stage, results[stage.name], held.facts["history"], cached=True)
        return True
    if stop():
        yield Stopped(stage, 0)
        return False
    context, fresh = stage.start(results)
    state, step, history = yield from _resume(stage, store, folder, fresh)
    saver = Saver(store, folder, step)
    yield Began(stage, step, list(history))
    if step < stage.steps and stop():
        yield Stopped(stage, step)
        return False
    try:
        for first, count in stage.chunks(step):
            state, metrics = _advance(stage, context, state, first, count, saver)
            step = first + count
            history.append({"step": step, **metrics})
            stopping = stop()
            saves = stopping or stage.saves_after(step)
            if saves:
                saver.begin(step, state, list(history))
            if stopping:
                saver.wait()
            yield Advanced(stage, step, metrics, saves)
            if stopping:
                yield Stopped(stage, step)
                return False
        saver.wait()
    finally:
        saver.abandon()
    result = stage.finish(context, state)
    stored = Stored(result.tree, {"facts": result.facts, "history": history})
    # Later stages get the result from disk, as in a resumed run.
    held = yield from _keep(stage, store, f"{folder}/final", stored)
    for name in store.names(folder):
        if not name.endswith("/final"):
            store.remove(name)
    results[stage.name] = Stored(held.tree, held.facts["facts"])
    yield Finished(stage, results[stage.name], history, cached=False)
    return True


def _advance(stage: Stage, context: Any, state: Any, first: int, count: int, saver: Saver) -> tuple[Any, Metrics]:
    try:
        return stage.advance(context, state, first, count)  # type: ignore[misc]  # set if there are steps
    except DivergedError as error:
        saver.wait()
        raise DivergedError(f"{error}; {saver.last_good()}") from error


def _recall(stage: Stage, store: Store, name: str) -> Generator[Event, None, Stored | None]:
    """A checkpoint, if it stands and is whole; a damaged one is said and removed."""
    if not store.has(name):
        return None
    try:
        return store.load(name)
    except DamagedError as error:
        # Without locks, another run may have removed it meanwhile.
        if store.has(name):
            yield Refused(stage, name, str(error))
            store.remove(name)
    return None


def _keep(stage: Stage, store: Store, name: str, stored: Stored) -> Generator[Event, None, Stored]:
    """Saves and reads back; without locks, another run may remove what it saw damaged, so a second time if need be."""
    for _ in range(2):
        store.save(name, stored.tree, stored.facts)
        held = yield from _recall(stage, store, name)
        if held is not None:
            return held
    raise ValueError(f"{store.place(name)} does not read as it was written; name a folder on another disk")


def _resume(
    stage: Stage, store: Store, folder: str, fresh: Any
) -> Generator[Event, None, tuple[Any, int, list[Metrics]]]:
    """State, step and history of the last checkpoint inside a stage; the fresh state if none is whole."""
    for name in reversed(store.names(folder)):
        held = yield from _recall(stage, store, name)
        if held is None or "step" not in held.facts:
            continue
        state, reason = restore(fresh, held.tree, held.facts.get("leaves"))
        if not reason:
            return state, held.facts["step"], held.facts["history"]
        yield Refused(stage, name, f"{store.place(name)} was written by other code: {reason}")
        store.remove(name)
    return fresh, 0, []
