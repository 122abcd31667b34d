"""The state of a reducer in a file, from which an interrupted run goes on."""

import hashlib
import io
import json
import os
import pathlib
import zipfile
from typing import Any

import jax
import numpy as np

from compressjax.coding._whole import replace_file
from compressjax.core._digest import add_leaf
from compressjax.data._reducer import Reducer


class Checkpoint:
    """Where a run over a source stands; `rows` of pass `turn` are in the state."""

    def __init__(self, path: str | os.PathLike[str], reducer: Reducer, every: int) -> None:
        if every < 1:
            raise ValueError(f"{reducer.name}: every={every} must be at least 1, the batches between two checkpoints")
        self.path, self.reducer, self.every = pathlib.Path(path), reducer, every
        self.turn, self.rows, self.features, self.batches = 0, 0, 0, 0
        self.first, self.last = "", ""
        self.arrays: list[np.ndarray] = []
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                known = json.loads(str(file["known"]))
                self.arrays = [file[f"leaf{i}"] for i in range(known["leaves"])]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.path} is no checkpoint of fit: {error}; remove it to start anew") from error
        if known["reducer"] != self.reducer.name:
            raise ValueError(f"{self.path} is a checkpoint of {known['reducer']}, not of {self.reducer.name}; give "
                             "another path, or remove it to start anew")  # fmt: skip
        self.turn, self.rows, self.features = known["turn"], known["rows"], known["features"]
        self.first, self.last = known["first"], known["last"]

    def state(self) -> Any:
        """The state in the file; None if there is none."""
        if not self.features:
            return None
        empty = self.reducer.init(self.features)
        leaves, structure = jax.tree.flatten(empty)
        if len(leaves) != len(self.arrays):
            raise ValueError(f"{self.path}: a state of {len(self.arrays)} arrays is not one of this version of "
                             f"{self.reducer.name}; remove the file to start anew")  # fmt: skip
        return jax.tree.unflatten(structure, [_typed(x, like) for x, like in zip(self.arrays, leaves, strict=True)])

    def passed(self, batch: Any, before: int, rows: int) -> bool:
        """Whether the file holds a batch; checks that the first and the last one are those of the run before."""
        if before >= self.rows:
            return False
        after = before + rows
        if after > self.rows:
            raise ValueError(
                f"{self.path} ends at row {self.rows}, inside of the batch of rows {before} to {after - 1}; resume "
                "with batches of the same size, or remove the file to start anew"
            )
        for wanted, here in ((self.first, before == 0), (self.last, after == self.rows)):
            if here and digest(batch) != wanted:
                raise ValueError(f"{self.path} is a checkpoint over another source: rows {before} to "
                                 f"{after - 1} differ; give another path, or remove it to start anew")  # fmt: skip
        return True

    def done(self, batch: Any, state: Any, turn: int, rows: int, features: int) -> None:
        """Notes a batch, and writes the file every so many batches."""
        self.batches += 1
        if not self.first:
            self.first = digest(batch)
        if self.batches % self.every:
            return
        self.last, self.turn, self.rows, self.features = digest(batch), turn, rows, features
        arrays = [_plain(x) for x in jax.tree.leaves(state)]
        known = {"reducer": self.reducer.name, "turn": turn, "rows": rows, "features": features, "first": self.first,
                 "last": self.last, "leaves": len(arrays)}  # fmt: skip
        written = {"known": np.asarray(json.dumps(known)), **{f"leaf{i}": x for i, x in enumerate(arrays)}}
        packed = io.BytesIO()
        np.savez(packed, **written)  # type: ignore[arg-type]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, packed.getvalue())

    def next_pass(self) -> None:
        """The next pass starts at the first row."""
        self.rows = 0

    def remove(self) -> None:
        """Removes the file of a run that is over."""
        self.path.unlink(missing_ok=True)


def digest(batch: Any) -> str:
    """SHA-256 of the arrays of a batch, their shapes and types."""
    found = hashlib.sha256()
    for part in batch if isinstance(batch, tuple | list) else (batch,):
        dense = part.tocoo() if hasattr(part, "tocoo") else part
        for piece in (dense.row, dense.col, dense.data) if dense is not part else jax.tree.leaves(part):
            add_leaf(found, piece)
    return found.hexdigest()


def _plain(x: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(x) if _is_key(x) else x)


def _typed(x: np.ndarray, like: Any) -> Any:
    if _is_key(like):
        return jax.random.wrap_key_data(jax.numpy.asarray(x), impl=str(jax.random.key_impl(like)))
    return jax.numpy.asarray(x)


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)
