"""One process is alone; of two, the first reads and writes, and both know what came of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from compressjax import recipe
from experiments import hosts, jobs
from tests.experiments.test_stopping import ROOT


def test_one_process_asks_nobody(tmp_path):
    assert not hosts.several()
    assert hosts.first()
    assert hosts.largest(15) == 15
    assert hosts.told(lambda: 3) == 3
    assert type(hosts.store(str(tmp_path))) is recipe.Store
    assert hosts.end(2) == 2
    hosts.part()


PROGRAM = """
    import sys
    import jax
    import numpy as np

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 1)
    jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
    from compressjax import recipe
    from experiments import hosts

    mine = jax.process_index()
    assert hosts.several() and hosts.first() == (mine == 0)
    assert hosts.largest(15 * mine) == 15
    assert hosts.told(lambda: ("first", mine, b"x" * 5000)) == ("first", 0, b"x" * 5000)
    try:
        hosts.told(lambda: open("/nowhere/at/all"))
    except OSError as error:
        assert error.filename == "/nowhere/at/all"
    # The second process names another folder, which it never touches.
    store = hosts.store(sys.argv[3] if mine == 0 else "/nowhere")
    lock = store.lock("k")
    assert lock.acquire() and "process" in lock.owner()
    store.probe("k")
    store.begin("k/step-1", {"w": np.arange(3), "key": jax.random.key(1)}, {"step": 1}).wait()
    assert store.names("k") == ["k/step-1"] and store.has("k/step-1")
    held = store.load("k/step-1")
    assert held.tree["w"].tolist() == [0, 1, 2] and held.facts == {"step": 1}
    assert jax.random.uniform(held.tree["key"]) == jax.random.uniform(jax.random.key(1))
    store.remove("k/step-1")
    try:
        store.load("k/step-1")
    except ValueError as error:
        assert "no checkpoint" in str(error)
    lock.release()
    print("equal")
    hosts.part()
"""


@pytest.mark.thorough
def test_two_processes_agree(tmp_path):
    address = jobs.free_address()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), address, str(k), str(tmp_path)],
            cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in (0, 1)
    ]  # fmt: skip
    for process in processes:
        out, wrong = process.communicate(timeout=300)
        assert "equal" in out, wrong
    assert np.all([process.returncode == 0 for process in processes])


@pytest.mark.thorough
def test_a_signal_to_one_process_ends_both_well_and_one_alone_goes_on(tmp_path, data_cache):
    flags = [
        "--config=tests/experiments/tiny.py", "--set=teacher.epochs=30.0", f"--workdir={tmp_path}",
        f"--data_cache={data_cache}",
        "--config.skip=('prune','factorize','qat','kmeans','share','distill','encode')",
    ]  # fmt: skip
    shared = [*flags, "--preemptible", f"--coordinator={jobs.free_address()}", "--processes=2"]
    processes = [jobs.start(*shared, f"--process={k}", cwd=ROOT, stdout=subprocess.DEVNULL) for k in (0, 1)]
    log = tmp_path / "logs" / "process-1.log"
    while processes[1].poll() is None and not (log.exists() and "step 20: advanced" in log.read_text()):
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(300) for process in processes] == [0, 0]
    assert not (tmp_path / "model.cjx").exists()
    assert jobs.start(*flags, "--devices=1", cwd=ROOT, stdout=subprocess.DEVNULL).wait(300) == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "step" in line] == list(range(10, 571, 10))
