"""Proof of resuming: `python -m experiments.kill --config=configs/digits.py:smoke --workdir=DIR --kills=20`.

Runs the main job once without interruption, then once more with `--kills` SIGKILLs at random moments, and compares the
results of both byte for byte. With `--hosts=2`, the job is one run of that many processes, of which one is killed: the
`coordinator` (process 0), a `worker`, or `any`, by `--victim`. The others end by themselves, or are killed after
`--patience` seconds, as a scheduler would; then all start again.
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
_HOSTS = flags.DEFINE_integer("hosts", 1, "Processes of the job.", lower_bound=1)
_VICTIM = flags.DEFINE_enum("victim", "any", ("any", "coordinator", "worker"), "Which process is killed.")
_PATIENCE = flags.DEFINE_float("patience", 60.0, "Seconds that the others have to end.")
_job = functools.partial(jobs.together, own=("kills", "kill_seed", "hosts", "victim", "patience"))


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
    console, draw, hosts = make_console(), random.Random(_SEED.value), _HOSTS.value
    if _VICTIM.value == "worker" and hosts == 1:
        raise ValueError("--victim=worker needs a second process: --hosts=2")
    began = time.monotonic()
    if (status := jobs.wait(*_job(whole, hosts))) != 0:
        raise ValueError(f"the job ended with status {status} before anything was killed; run it alone to see why")
    length = time.monotonic() - began
    kills = attempts = stayed = 0
    while kills < _KILLS.value:
        attempts += 1
        processes = _job(killed, hosts)
        # Each run lasts a part of the whole job, so that kills hit every phase, including start-up and clean-up.
        if _alive(processes, draw.uniform(0.05, 0.35) * length):
            processes[victim(draw, _VICTIM.value, hosts)].send_signal(signal.SIGKILL)
            stayed += jobs.end(processes, _PATIENCE.value)
            kills += 1
        else:
            # The job finished between two kills: check its results and start again.
            _compare(whole, killed)
            shutil.rmtree(killed)
    if (status := jobs.wait(*_job(killed, hosts))) != 0:
        raise ValueError(f"after {kills} kills the job ended with status {status}; run it in {killed} to see why")
    _compare(whole, killed)
    equal = ", ".join(jobs.COMPARED)
    console.print(f"killed {kills} times in {attempts} lives of a job of {length:.0f} s; equal to the byte: {equal}")
    if hosts > 1:
        console.print(
            f"{hosts} processes, of which the {_VICTIM.value} one was killed; {stayed} others had to be ended"
        )


def victim(draw: random.Random, which: str, hosts: int) -> int:
    """The number of the process to kill."""
    return draw.randrange(1, hosts) if which == "worker" else 0 if which == "coordinator" else draw.randrange(hosts)


def _alive(processes: list[subprocess.Popen], seconds: float) -> bool:
    """Whether any of the processes still runs after some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if all(process.poll() is not None for process in processes):
            return False
        time.sleep(0.02)
    return True


def _compare(one: str, other: str) -> None:
    if differing := jobs.differing(one, other):
        raise ValueError(f"{', '.join(differing)} differ between {one} and {other}: resuming is not exact")


if __name__ == "__main__":
    app.launch(prove, spreads=True)
