"""Reader of idx files, plain or gzipped."""

import gzip
from pathlib import Path

import numpy as np

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def find_files(folder: str, remedy: str) -> dict[str, tuple[Path, Path]]:
    """Paths of the four idx files of a data set.

    Args:
        folder: their folder, gzipped (`.gz`) or not.
        remedy: command that installs them, for messages.

    Returns:
        For `train` and `test`, the paths of images and labels.

    Raises:
        ValueError: when the folder or one of the files is absent.
    """
    found = {}
    for split, names in FILES.items():
        places = []
        for name in names:
            options = [Path(folder) / name, Path(folder) / f"{name}.gz"]
            present = [place for place in options if place.is_file()]
            if not present:
                raise ValueError(f"--config.data.path={folder}: no {name} or {name}.gz there; {remedy}")
            places.append(present[0])
        found[split] = (places[0], places[1])
    return found


def read_idx(place: Path) -> np.ndarray:
    """Array of unsigned bytes from an idx file.

    Args:
        place: the file; a name that ends in `.gz` is decompressed.

    Returns:
        uint8 array with the shape from the header.

    Raises:
        ValueError: when the header is not one of an idx file of bytes, or the length does not fit it.
    """
    try:
        data = gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()
    except (OSError, EOFError) as error:
        raise ValueError(f"{place} cannot be read ({error}); fetch it again") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(
            f"{place} starts with {data[:4]!r}, not with the header of an idx file of bytes; fetch it again"
        )
    axes = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", count=axes, offset=4))
    start, size = 4 + 4 * axes, int(np.prod(shape, dtype=np.int64))
    if len(data) != start + size:
        raise ValueError(f"{place} holds {len(data) - start} bytes of data, its header says {shape}; fetch it again")
    return np.frombuffer(data, np.uint8, count=size, offset=start).reshape(shape)
