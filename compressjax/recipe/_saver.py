"""The checkpoints inside a stage: one is written while the next steps run, and the last two stay."""

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from compressjax.recipe._pending import Pending
from compressjax.recipe._store import Store

KEPT = 2  # the last one may turn out damaged


class Saver:
    """Saves the states of a stage.

    Args:
        store: Store of checkpoints.
        folder: Folder of the stage in it.
        step: Step of the last checkpoint; 0 if there is none.
    """

    def __init__(self, store: Store, folder: str, step: int) -> None:
        self._store, self._folder, self._step = store, folder, step
        self._pending: tuple[int, Pending] | None = None

    def begin(self, step: int, state: Any, history: list[dict[str, float]]) -> None:
        """Copies a state and begins to write it, after the one before."""
        self.wait()
        facts = {"step": step, "history": history, "leaves": described(state)}
        name = step_name(self._folder, step)
        self._pending = step, self._store.begin(name, jax.tree.leaves(state), facts)

    def wait(self) -> None:
        """Returns once the last state is on disk; only then an older one goes. Raises `OSError` if it cannot be."""
        if self._pending is None:
            return
        (step, pending), self._pending = self._pending, None
        pending.wait()
        self._step = step
        for name in [n for n in self._store.names(self._folder) if not n.endswith("/final")][:-KEPT]:
            self._store.remove(name)

    def abandon(self) -> None:
        """As `wait`, at the end of a run that failed already: no other error takes the place of the first."""
        with contextlib.suppress(OSError, ValueError):
            self.wait()

    def last_good(self) -> str:
        """Says where the last state on disk is."""
        if not self._step:
            return "no earlier state of the stage was saved, so it starts again"
        return f"the last good state, of step {self._step}, is {self._store.place(step_name(self._folder, self._step))}"


def step_name(folder: str, step: int) -> str:
    """Name of the checkpoint of a step; names sort by it."""
    return f"{folder}/step-{step:09d}"


def described(state: Any) -> list[str]:
    """Path, dtype and shape of every leaf of a state, in order."""
    found = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
        shape = ",".join(map(str, np.shape(leaf)))
        found.append(f"{jax.tree_util.keystr(path, simple=True, separator='/')} {dtype}[{shape}]")
    return found


def restore(like: Any, leaves: Sequence[Any], names: Sequence[str] | None) -> tuple[Any, str]:
    """Puts stored leaves into the structure and placement of a fresh state, on whatever devices that is.

    `names` is the checkpoint's `described`; None if an older version wrote it. Without a state, the text says how the
    first leaf differs.
    """
    fresh, structure = jax.tree.flatten(like)
    wanted = described(like)
    held = list(names or described(leaves))
    if names is None:  # only shapes are known
        wanted, held = ([text.partition("[")[2] for text in texts] for texts in (wanted, held))
    for mine, other in itertools.zip_longest(wanted, held, fillvalue="nothing"):
        if mine != other:
            return None, f"its first leaf that differs is {other}, where the stage has {mine}"
    return jax.tree.unflatten(structure, [_placed(x, new) for x, new in zip(leaves, fresh, strict=True)]), ""


def _placed(leaf: Any, like: Any) -> Any:
    if not isinstance(like, jax.Array):
        return leaf
    if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        # Keys cannot be put on the devices of other processes, their data can.
        data = _placed(np.asarray(jax.random.key_data(leaf)), jax.random.key_data(like))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(like))
    return jax.device_put(leaf, like.sharding)
