"""Two processes of two devices each save one tree: the first writes the bytes of one device, and each loads its own."""

import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import pytest

from compressjax import artifact
from experiments.jobs import free_address
from tests.artifact import saving_host

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.thorough
def test_every_host_saves_and_loads_its_shards(tmp_path):
    alone, file, address = tmp_path / "alone.cjx", tmp_path / "both.cjx", free_address()
    artifact.save(alone, saving_host.tree(jnp.asarray))
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"  # the last of two counts
    env = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "artifact" / "saving_host.py"), address]
    hosts = [subprocess.Popen([*command, str(i), str(file)], env=env, stdout=subprocess.PIPE) for i in range(2)]
    told = [host.communicate(timeout=300)[0].decode().split()[-2:] for host in hosts]  # after what Gloo says
    assert [host.returncode for host in hosts] == [0, 0]
    assert told == [[str(alone.stat().st_size), "2"]] * 2
    assert file.read_bytes() == alone.read_bytes()
