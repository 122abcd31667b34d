"""Every study runs in its smoke form and writes a complete report."""

import importlib
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.bench import coded, coding, harness, kmeans, lifting, table
from tests.style.source import ROOT


@pytest.mark.turns(3)
@pytest.mark.loose
@pytest.mark.parametrize("name", harness.STUDIES)
def test_smoke(name):
    config = importlib.import_module(f"configs.bench_{name}").get_config("smoke")
    assert config.study == name
    *_, report = harness.run(config)
    saved = json.loads(json.dumps(report))
    assert saved["complete"]
    assert len(saved["rows"]) >= 2
    assert all(row.get("skipped") or row["median_ms"] > 0 for row in saved["rows"])
    errors = [v for facts in saved["facts"].values() for k, v in facts.items() if k.startswith("error")]
    assert all(0 <= error < 0.05 for error in errors)
    assert table.render(saved)


def test_entropy_against_closed_forms():

    assert coding.entropy_bytes(np.arange(256).repeat(8)) == pytest.approx(256 * 8)
    assert coding.entropy_bytes(np.zeros(100, int)) == 0
    share = np.array([0, 0, 0, 1])
    assert coding.entropy_bytes(share) * 8 / 4 == pytest.approx(2 - 0.75 * np.log2(3))


def test_weights_fill_the_grid():

    codes = coding.weights(np.random.default_rng(0), 3, 10_000)
    assert codes.min() == 0 or codes.max() == 6
    assert codes.max() <= 6
    assert abs(codes.mean() - 3) < 0.1


def test_equations_count_inner_jaxprs():
    plain = jax.make_jaxpr(lambda x: x * 2 + 1)(1.0)
    nested = jax.make_jaxpr(lambda x: jax.jit(lambda y: y * 2 + 1)(x) - 3)(1.0)
    assert lifting.equations(plain.jaxpr) == 2
    assert lifting.equations(nested.jaxpr) == 4
    scanned = jax.make_jaxpr(lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), jnp.float32(0), x))(jnp.ones(3))
    assert lifting.equations(scanned.jaxpr) == 3


@pytest.mark.thorough
def test_the_command_writes_and_prints(tmp_path):
    out = tmp_path / "deep" / "report.json"
    arguments = ["--config=configs/bench_coding.py:smoke", f"--out={out}", "--config.timing.rounds=3"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "payload over entropy" in done.stdout
    assert json.loads(out.read_text())["config"]["timing"]["rounds"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--config=configs/bench_coding.py:smoke", "--config.no_such=1"], "no_such", marks=pytest.mark.thorough
        ),
        (["--config=configs/bench_coding.py:smoke", "--config.study=speed"], "int8"),
        pytest.param(["--config=configs/bench_coding.py:tiny"], "smoke", marks=pytest.mark.thorough),
    ],
)
def test_the_command_refuses_bad_input(arguments, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.bench", *arguments, f"--out={tmp_path}/r.json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert message in done.stderr


def test_codes_pack_without_gaps():
    codes = np.array([[3, -4], [0, -1]])
    assert coded.packed(codes.reshape(-1), 3) == bytes([0b11100010, 0b00110000])  # shifted by 4: 7, 0, 4, 3
    assert coded.order0({"a": codes, "b": np.zeros(9, int)}) == pytest.approx(8)


def test_inertia_by_hand():
    assert kmeans.inertia(np.array([0.0, 1.0, 4.0]), np.array([0.5, 4.0]), np.array([0, 0, 1])) == pytest.approx(0.5)
