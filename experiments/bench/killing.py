"""Kills a sequential calibration at random moments: `python -m experiments.bench.killing KILLS LAYERS WIDTH SEED`.

Every run is a process of its own, ended by SIGKILL; the next goes on from the same folder. Prints how many steps stand
after every kill, and whether the result is that of a run that nobody killed, bit for bit; ends with 1 if it is not.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import compressjax as cj
from compressjax import quant
from experiments.bench.compressing import encode, encoder, normal

PATIENCE = 600.0  # seconds for one step


def calibrated(folder: str | Path | None, layers: int, width: int) -> Any:
    """The tree of sequential GPTQ of a transformer, which resumes from the folder."""
    draw = np.random.default_rng(0)
    params = encoder(draw, {"layers": layers, "width": width, "inner": 4 * width, "words": 1})
    del params["words"]
    batches = [(normal(draw, 2, 16, width),) for _ in range(2)]
    return cj.calibrate(encode, params, batches, quant.gptq(4), folder=folder)


def killed(folder: str | Path, layers: int, width: int, steps: int, delay: float) -> int:
    """Kills a run after some new steps and a delay in seconds; returns how many stand in the folder then."""
    before = finished(folder)
    command = [sys.executable, "-m", "experiments.bench.killing", "run", str(folder), str(layers), str(width)]
    with subprocess.Popen(command) as run:
        began = time.perf_counter()
        while finished(folder) < before + steps and run.poll() is None and time.perf_counter() - began < PATIENCE:
            time.sleep(0.002)
        time.sleep(delay)
        run.kill()
    return finished(folder)


def finished(folder: str | Path) -> int:
    """Steps in a folder."""
    return len(list(Path(folder).glob("*.cjx")))


def same(one: Any, other: Any) -> bool:
    """Whether two trees have the same structure and the same bits."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def main(kills: int, layers: int, width: int, seed: int) -> bool:
    """Kills a calibration some times; whether it ends as if nothing had happened."""
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(kills):
            stand = killed(folder, layers, width, int(draw.integers(1, 4)), float(draw.uniform(0, 0.3)))
            print(f"kill {number + 1}: {stand} of {4 * layers} steps stand", flush=True)
        found = calibrated(folder, layers, width)
    equal = same(found, calibrated(None, layers, width))
    print(f"after {kills} kills, the result is {'the same to the bit' if equal else 'another'}")
    return equal


if __name__ == "__main__":
    if sys.argv[1] == "run":
        calibrated(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(not main(*map(int, sys.argv[1:5])))
