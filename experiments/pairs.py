"""Proof that runs may share folders: `python -m experiments.pairs --config=configs/digits.py:smoke --workdir=DIR`.

Runs the main job once, then `--pairs` times two of it at once, in turn on one work directory and on two work
directories with one `--cache`. All must end with status 0 and the same files, byte for byte.
"""

import functools
import os
import random
import shutil
import time

from absl import flags

from experiments import app, jobs
from experiments.view import make_console

_PAIRS = flags.DEFINE_integer("pairs", 6, "How many pairs run, one after the other.")
_SEED = flags.DEFINE_integer("pair_seed", 0, "Seed of the seconds between the two starts of a pair.")
APART_SECONDS = 3.0
_job = functools.partial(jobs.again, own=("pairs", "pair_seed"))


def prove(launch: app.Launch) -> None:
    """Runs the proof.

    Args:
        launch: Config and folders; what an earlier proof left is deleted first.

    Raises:
        ValueError: If a run fails or its files differ.
    """
    whole = os.path.join(launch.workdir, "whole")
    for name in ("whole", *(f"pair-{i}" for i in range(_PAIRS.value))):
        shutil.rmtree(os.path.join(launch.workdir, name), ignore_errors=True)
    if status := jobs.wait(_job(whole)):
        raise ValueError(f"the job alone ended with status {status}; see its message above")
    console, draw = make_console(), random.Random(_SEED.value)
    for i in range(_PAIRS.value):
        folder = os.path.join(launch.workdir, f"pair-{i}")
        names, cache = (("both", "both"), []) if i % 2 == 0 else (("one", "two"), [f"--cache={folder}/cache"])
        places = [os.path.join(folder, name) for name in names]
        one = _job(places[0], *cache)
        time.sleep(draw.choice((0.0, draw.uniform(0, APART_SECONDS))))
        if status := jobs.wait(one, _job(places[1], *cache)):
            raise ValueError(f"a run of pair {i} in {folder} ended with status {status}; see its message above")
        for place in places:
            if differing := jobs.differing(whole, place):
                raise ValueError(f"{', '.join(differing)} differ between {whole} and {place}")
        console.print(f"pair {i}, {'one work directory' if not cache else 'one cache'}: both ended, files equal")
    equal = ", ".join(jobs.COMPARED)
    console.print(f"{_PAIRS.value} pairs on shared folders, all ended; equal to the byte: {equal}")


if __name__ == "__main__":
    app.launch(prove)
