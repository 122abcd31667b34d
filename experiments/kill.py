"""Proof of resuming: `python -m experiments.kill --config=configs/digits.py:smoke --workdir=DIR --kills=20`.

Runs the main job once without interruption, then once more with `--kills` SIGKILLs at random moments, and compares the
results of both byte for byte.
"""

import functools
import os
import random
import shutil
import signal
import subprocess
import time

from absl import flags

from experiments import app, jobs
from experiments.view import make_console

_KILLS = flags.DEFINE_integer("kills", 20, "How often the job is killed.")
_SEED = flags.DEFINE_integer("kill_seed", 0, "Seed of the moments.")
_job = functools.partial(jobs.again, own=("kills", "kill_seed"))


def prove(launch: app.Launch) -> None:
    """Runs the proof.

    Args:
        launch: Config and folders; the folder is emptied first.

    Raises:
        ValueError: If the work directory is in use, or the results differ.
    """
    whole, killed = (os.path.join(launch.workdir, name) for name in ("whole", "killed"))
    for folder in (whole, killed):
        shutil.rmtree(folder, ignore_errors=True)
    console, draw = make_console(), random.Random(_SEED.value)
    began = time.monotonic()
    if (status := _job(whole).wait()) != 0:
        raise ValueError(f"the job ended with status {status} before anything was killed; run it alone to see why")
    length = time.monotonic() - began
    kills = attempts = 0
    while kills < _KILLS.value:
        attempts += 1
        process = _job(killed)
        # Each run lasts a part of the whole job, so that kills hit every phase, including start-up and clean-up.
        try:
            process.wait(draw.uniform(0.05, 0.35) * length)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            # The job finished between two kills: check its results and start again.
            _compare(whole, killed)
            shutil.rmtree(killed)
    if (status := _job(killed).wait()) != 0:
        raise ValueError(f"after {kills} kills the job ended with status {status}; run it in {killed} to see why")
    _compare(whole, killed)
    equal = ", ".join(jobs.COMPARED)
    console.print(f"killed {kills} times in {attempts} lives of a job of {length:.0f} s; equal to the byte: {equal}")


def _compare(one: str, other: str) -> None:
    if differing := jobs.differing(one, other):
        raise ValueError(f"{', '.join(differing)} differ between {one} and {other}: resuming is not exact")


if __name__ == "__main__":
    app.launch(prove)
