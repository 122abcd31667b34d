"""What launchers share: how they end, and how they name themselves."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from experiments import app

INTERRUPTED = """
import jax
import jax.numpy as jnp
from experiments import app

def main():
    busy = jax.jit(lambda x: jax.lax.fori_loop(0, 2_000_000_000, lambda i, x: jnp.tanh(x @ x), x))
    busy(jnp.ones((300, 300)))
    raise KeyboardInterrupt

app.simple(main)
"""


def test_interrupted_while_the_device_computes_it_ends_with_one_line():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == app.INTERRUPTED
    assert done.stderr.count("\n") == 2
    assert "To resume: python" in done.stderr


@pytest.mark.parametrize("module", ["experiments.reproduce", "experiments.reproduce.__main__"])
def test_the_command_is_as_one_would_type_it(monkeypatch, module):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", SimpleNamespace(name=module))
    monkeypatch.setattr(sys, "argv", ["anything", "--workdir=a folder"])
    assert app.command() == "python -m experiments.reproduce '--workdir=a folder'"
