"""Prints the peak memory of reducers over a memory-mapped file: `python -m experiments.bench.memory_of_data ROWS`.

The file has ROWS rows of 100 columns, then ten times as many; every measurement is a process of its own. With
`sparse ROWS COLUMNS SHARE` in the place of ROWS, a sparse matrix is read instead. Memory is anonymous: pages of the
mapped file, which the kernel drops when others need them, do not count.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from compressjax import data
from experiments.bench.peak import resident

COLUMNS = 100
_CHUNK = 100_000
_CLASSES = 4
DENSE: dict[str, Callable[[], data.Reducer]] = {
    "pca": lambda: data.pca(10),
    "incremental pca": lambda: data.incremental_pca(10),
    "anova": lambda: data.select_anova(10, _CLASSES),
    "standard scaler": data.standard_scaler,
    "robust scaler": data.robust_scaler,
    "online nmf": lambda: data.online_nmf(10, jax.random.key(0)),
}
SPARSE: dict[str, Callable[[], data.Reducer]] = {
    "truncated svd": lambda: data.truncated_svd(10, jax.random.key(0)),
    "chi2": lambda: data.select_chi2(10, _CLASSES),
}


def write(folder: str | Path, rows: int) -> None:
    """Writes `rows.npy` and `labels.npy`, a part at a time; values are of at least 0 and depend on the label."""
    x = np.lib.format.open_memmap(Path(folder, "rows.npy"), "w+", np.float32, (rows, COLUMNS))
    y = np.lib.format.open_memmap(Path(folder, "labels.npy"), "w+", np.int32, (rows,))
    draw = np.random.default_rng(0)
    for i in range(0, rows, _CHUNK):
        part = draw.random((min(_CHUNK, rows - i), COLUMNS), np.float32)
        y[i : i + _CHUNK] = part[:, :_CLASSES].argmax(1)
        x[i : i + _CHUNK] = part


def source(name: str, folder: str | Path) -> Any:
    """What a reducer reads from the files of a folder."""
    if name in SPARSE:
        import scipy.sparse

        x, y = scipy.sparse.load_npz(Path(folder, "rows.npz")).tocsr(), np.load(Path(folder, "labels.npy"))
        return (x, y) if name == "chi2" else x
    x = np.load(Path(folder, "rows.npy"), mmap_mode="r")
    return (x, np.load(Path(folder, "labels.npy"), mmap_mode="r")) if name == "anova" else x


def peak(fn: Callable[[], Any]) -> int:
    """The most anonymous memory of this process while a function runs, in bytes, looked at every 2 ms."""
    found, done = [resident("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            found.append(max(found.pop(), resident("RssAnon")))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        fn()
    finally:
        done.set()
        thread.join()
    return max(found[0], resident("RssAnon"))


def measured(name: str, folder: str | Path) -> int:
    """The peak of one reducer in a process of its own, in bytes."""
    command = [sys.executable, "-m", "experiments.bench.memory_of_data", "one", name, str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(sizes: list[int]) -> str:
    """A Markdown table of the peaks in MB for files of some numbers of rows, and the last over the first."""
    columns: list[list[int]] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, rows)
            columns.append([measured(name, folder) for name in DENSE])
    head = " | ".join(f"MB, {rows:,} rows" for rows in sizes)
    lines = [f"| reducer | {head} | growth |", "|---|" + "---:|" * (len(sizes) + 1)]
    for name, *peaks in zip(DENSE, *columns, strict=True):
        shown = " | ".join(f"{value / 1e6:.0f}" for value in peaks)
        lines.append(f"| {name} | {shown} | {100 * (peaks[-1] / peaks[0] - 1):+.1f} % |")
    return "\n".join(lines)


def sparse_table(rows: int, columns: int, share: float) -> str:
    """A Markdown table of the peaks over a sparse matrix, next to the bytes that it would have as a dense one."""
    import scipy.sparse

    draw = np.random.default_rng(0)
    entries = round(rows * columns * share)
    places = draw.integers(0, rows, entries), draw.integers(0, columns, entries)
    x = scipy.sparse.coo_matrix((draw.random(entries, np.float32), places), (rows, columns)).tocsr()
    lines = ["| reducer | MB | MB of the dense matrix |", "|---|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        scipy.sparse.save_npz(Path(folder, "rows.npz"), x, compressed=False)
        np.save(Path(folder, "labels.npy"), draw.integers(0, _CLASSES, rows).astype(np.int32))
        for name in SPARSE:
            lines.append(f"| {name} | {measured(name, folder) / 1e6:.0f} | {4 * rows * columns / 1e6:.0f} |")
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Runs one of the three commands."""
    if words[0] == "one":
        name, folder = words[1:]
        reducer = {**DENSE, **SPARSE}[name]()
        print(peak(lambda: jax.block_until_ready(data.fit(reducer, source(name, folder)))))
    elif words[0] == "sparse":
        print(sparse_table(int(words[1]), int(words[2]), float(words[3])))
    else:
        print(table([int(words[0]), 10 * int(words[0])]))


if __name__ == "__main__":
    main(sys.argv[1:])
