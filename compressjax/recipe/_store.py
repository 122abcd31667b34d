"""Checkpoints on disk, written to a draft and then renamed, so that readers never find a partial one."""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding._lock import Lock
from compressjax.coding._whole import draft_of, flush_folder
from compressjax.recipe._digests import check, seal
from compressjax.recipe._files import refuse_url, write_file
from compressjax.recipe._pending import ARRAYS, META, Pending, read
from compressjax.recipe._structure import pack, unpack

_STALE_SECONDS = 3600


class Stored(NamedTuple):
    """Contents of a checkpoint: a tree of arrays and nodes, and JSON facts."""

    tree: Any
    facts: dict[str, Any]


class Store(NamedTuple):
    """A folder of checkpoints, one sub-folder per name, each with the SHA-256 of its files.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.save("a/final", {"w": np.ones(2)}, {"step": 3})
        >>> store.load("a/final").facts
        {'step': 3}
    """

    root: str

    def place(self, name: str) -> Path:
        """Folder of a checkpoint; raises `ValueError` for a name that leads out of the store."""
        refuse_url(self.root, "the store")
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
            raise ValueError(f"the checkpoint's name {name!r} leads out of {self.root}; use a name without '..'")
        return Path(self.root, *parts)

    def has(self, name: str) -> bool:
        """Whether a complete checkpoint of that name exists; whether it is whole is for `load` to say."""
        return (self.place(name) / META).exists()

    def save(self, name: str, tree: Any, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint; keeps an existing one of that name.

        Args:
            name: Relative path, such as `key/final`.
            tree: See `compressjax.recipe.pack`.
            facts: JSON values.

        Raises:
            OSError: If it cannot be written; `filename` is its folder.
        """
        self.begin(name, tree, facts).wait()

    def begin(self, name: str, tree: Any, facts: Mapping[str, Any]) -> Pending:
        """As `save`, but returns once the arrays are copied; Orbax writes them while the caller goes on.

        The checkpoint stands as soon as its last byte is on disk, whether or not `wait` is called then.

        Args:
            name: As for `save`.
            tree: As for `save`.
            facts: As for `save`.

        Returns:
            The checkpoint under way; its `wait` raises what `save` would have raised.
        """
        place = self.place(name)
        if self.has(name):
            return Pending(place)
        draft = draft_of(place)
        structure, arrays = pack(tree)
        meta = json.dumps({"count": len(arrays), "structure": structure, "facts": dict(facts)})

        def commit() -> None:
            draft.mkdir(exist_ok=True)
            write_file(draft / META, meta)
            seal(draft)
            flush_folder(draft)
            os.replace(draft, place)
            flush_folder(place.parent)

        # Orbax refuses empty arrays; the structure restores them.
        return Pending(place, draft, {str(i): a for i, a in enumerate(arrays) if a.size}, commit)

    def load(self, name: str) -> Stored:
        """Reads a checkpoint after a check of all its bytes.

        Args:
            name: As for `save`.

        Returns:
            Its tree and facts.

        Raises:
            DamagedError: If a file is altered, missing or added; the message names it.
            ValueError: If there is no checkpoint of that name, or its tree has a node of an unknown type.
        """
        place = self.place(name)
        if not self.has(name):
            raise ValueError(f"no checkpoint {name!r} under {self.root}; run the stage that writes it first")
        check(place)
        meta = json.loads((place / META).read_text())
        arrays: list[np.ndarray] = [np.zeros(0)] * meta["count"]
        if (place / ARRAYS).exists():
            for index, array in read(place / ARRAYS).items():
                arrays[int(index)] = np.asarray(array)
        return Stored(unpack(meta["structure"], arrays), meta["facts"])

    def lock(self, folder: str) -> Lock:
        """The lock of a folder of checkpoints, between the runs that share the store."""
        return Lock(self.place(folder) / ".lock")

    def names(self, folder: str) -> list[str]:
        """The complete checkpoints directly under `folder`, sorted."""
        inside = self.place(folder)
        found = (p.name for p in inside.iterdir()) if inside.is_dir() else ()
        return sorted(f"{folder}/{name}" for name in found if not name.startswith(".") and self.has(f"{folder}/{name}"))

    def remove(self, name: str) -> None:
        """Deletes a checkpoint; it is renamed first, so that an interrupted deletion leaves no partial checkpoint."""
        place = self.place(name)
        draft = draft_of(place)
        try:
            os.replace(place, draft)
        except FileNotFoundError:
            return
        shutil.rmtree(draft, ignore_errors=True)

    def sweep(self, folder: str) -> None:
        """Deletes what killed runs left under `folder`: old drafts and partly deleted checkpoints."""
        inside = self.place(folder)
        for place in inside.iterdir() if inside.is_dir() else ():
            hidden = place.name.startswith(".")
            # A young draft may belong to another process that shares the store, and which may just have renamed it.
            with contextlib.suppress(FileNotFoundError):
                young = hidden and time.time() - place.stat().st_mtime < _STALE_SECONDS
                if place.is_dir() and not young and (hidden or not (place / META).exists()):
                    shutil.rmtree(place, ignore_errors=True)

    def probe(self, folder: str) -> None:
        """Writes, reads and deletes a small checkpoint under `folder`, to fail before hours of training and not after.

        Args:
            folder: Name of a folder of checkpoints, best the longest one that a run uses.

        Raises:
            OSError: If it cannot be written; `filename` is its folder.
        """
        name = f"{folder}/.draft-{uuid.uuid4().hex[:16]}"
        try:
            self.save(name, {"probe": np.arange(3)}, {})
            self.load(name)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.place(folder))) from error
        finally:
            shutil.rmtree(self.place(name), ignore_errors=True)
