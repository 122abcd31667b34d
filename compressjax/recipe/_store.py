"""Checkpoints on disk, written to a draft and then renamed, so that readers never find a partial one."""

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp

from compressjax.recipe._structure import pack, unpack

_META = "meta.json"
_ARRAYS = "arrays"
_STALE_SECONDS = 3600


class Stored(NamedTuple):
    """Contents of a checkpoint: a tree of arrays and nodes, and JSON facts."""

    tree: Any
    facts: dict[str, Any]


class Store(NamedTuple):
    """A folder of checkpoints, one sub-folder per name.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.save("a/final", {"w": np.ones(2)}, {"step": 3})
        >>> store.load("a/final").facts
        {'step': 3}
    """

    root: str

    def has(self, name: str) -> bool:
        """Whether a complete checkpoint of that name exists."""
        return (Path(self.root) / name / _META).exists()

    def save(self, name: str, tree: Any, facts: Mapping[str, Any]) -> None:
        """Writes a checkpoint; keeps an existing one of that name.

        Args:
            name: Relative path, such as `key/final`.
            tree: See `compressjax.recipe.pack`.
            facts: JSON values.
        """
        place = Path(self.root) / name
        if self.has(name):
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.parent / f".{place.name}.{uuid.uuid4().hex}"
        structure, arrays = pack(tree)
        try:
            # Orbax refuses empty arrays; the structure restores them.
            filled = {str(i): a for i, a in enumerate(arrays) if a.size}
            if filled:
                ocp.PyTreeCheckpointer(use_ocdbt=False).save(os.path.abspath(draft / _ARRAYS), filled)
            draft.mkdir(exist_ok=True)
            meta = {"count": len(arrays), "structure": structure, "facts": dict(facts)}
            write_file(draft / _META, json.dumps(meta))
            _sync_folder(draft)
            os.replace(draft, place)
            _sync_folder(place.parent)
        except OSError:
            if not self.has(name):
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def load(self, name: str) -> Stored:
        """Reads a checkpoint; raises `ValueError` if there is none of that name."""
        place = Path(self.root) / name
        if not self.has(name):
            raise ValueError(f"no checkpoint {name!r} under {self.root}; run the stage that writes it first")
        meta = json.loads((place / _META).read_text())
        arrays: list[np.ndarray] = [np.zeros(0)] * meta["count"]
        if (place / _ARRAYS).exists():
            loaded = ocp.PyTreeCheckpointer(use_ocdbt=False).restore(os.path.abspath(place / _ARRAYS))
            for index, array in loaded.items():
                arrays[int(index)] = np.asarray(array)
        return Stored(unpack(meta["structure"], arrays), meta["facts"])

    def names(self, folder: str) -> list[str]:
        """The complete checkpoints directly under `folder`, sorted."""
        inside = Path(self.root) / folder
        found = (p.name for p in inside.iterdir()) if inside.is_dir() else ()
        return sorted(f"{folder}/{name}" for name in found if not name.startswith(".") and self.has(f"{folder}/{name}"))

    def remove(self, name: str) -> None:
        """Deletes a checkpoint, its metadata first, so that an interrupted deletion leaves no partial checkpoint."""
        place = Path(self.root) / name
        (place / _META).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)

    def sweep(self, folder: str) -> None:
        """Deletes what killed runs left under `folder`: old drafts and partly deleted checkpoints."""
        inside = Path(self.root) / folder
        for place in inside.iterdir() if inside.is_dir() else ():
            # A young draft may belong to another process that shares the store.
            young = place.name.startswith(".") and time.time() - place.stat().st_mtime < _STALE_SECONDS
            if place.is_dir() and not young and (place.name.startswith(".") or not (place / _META).exists()):
                shutil.rmtree(place, ignore_errors=True)


def write_file(place: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file atomically: readers see the old content or the new one.

    Args:
        place: File to write.
        content: The new content; text is written as UTF-8.

    Example:
        >>> import tempfile
        >>> write_file(tempfile.mkdtemp() + "/a.txt", "hello")
    """
    place = Path(place)
    draft = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        with open(draft, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` survive a power failure, if the system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
