"""An update of masks on eight devices exchanges a few numbers, however many weights there are."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests import helpers
from tests.prune import sharded_update

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = helpers.quick(
    ["gradual, explicit", *(f"{name}, auto" for name in sharded_update.METHODS)], "gradual, explicit", "rigl, auto"
)


@pytest.fixture(scope="module")
def told(request):
    items = [item for item in request.session.items if item.path == pathlib.Path(__file__)]
    cases = sorted({item.callspec.params["case"] for item in items})
    # How bytes grow takes two sizes; whether devices agree takes one.
    scales = "1,4" if any("bytes" in item.name for item in items) else "1"
    more = "--xla_force_host_platform_device_count=8"  # the last of two counts
    flags = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {more}", "JAX_PLATFORMS": "cpu"}
    env = {**os.environ, **flags, "PYTHONPATH": str(ROOT)}
    script = str(ROOT / "tests" / "prune" / "sharded_update.py")
    done = subprocess.run(
        [sys.executable, script, scales, *cases], capture_output=True, env=env, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES)
def test_collective_bytes_do_not_grow_with_the_parameters(told, case):
    small, large = told[case]
    assert large["kept"] == 16 * small["kept"]
    assert set(small["bytes"]) == {"all-reduce"}
    assert small["bytes"] == large["bytes"]
    assert small["bytes"]["all-reduce"] < 1000


@pytest.mark.parametrize("case", CASES)
def test_eight_devices_equal_one(told, case):
    assert all(run["same"] for run in told[case])
