"""Several processes as one run: they meet at the coordinator, process 0, or the run ends with its address."""

import contextlib
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator

import jax
from absl import flags

from experiments import stopping

BAD_INPUT = 2
CLUSTER = "cluster"
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "",
    f"Address HOST:PORT of process 0, where the processes of a run meet; '{CLUSTER}' for what JAX finds itself under "
    "Slurm, Open MPI, GKE or on TPUs.",
)  # fmt: skip
_PROCESSES = flags.DEFINE_integer("processes", 0, "Number of processes of the run; needs --coordinator.")
_PROCESS = flags.DEFINE_integer("process", -1, "Number of this process, from 0; needs --coordinator.")
_TIMEOUT = flags.DEFINE_integer("coordinator_timeout", 300, "Seconds within which all processes must meet.")
_HEARTBEAT_SECONDS = 30  # after which a process that died is missed
_SLACK_SECONDS = 60  # JAX's own time-out aborts without a message, so it comes later
_ADDRESS = re.compile(r"[^\s:/]+:\d+|\[[0-9a-fA-F:]+\]:\d+")


def asked() -> bool:
    """Whether flags ask for several processes."""
    return bool(_COORDINATOR.value or _PROCESSES.value or _PROCESS.value >= 0)


def join() -> None:
    """Meets the other processes, if flags name any; before JAX is used.

    Raises:
        ValueError: If the flags do not fit together, or the cluster's environment says nothing.
    """
    if not asked() or jax.distributed.is_initialized():
        return
    address, count, mine = _COORDINATOR.value, _PROCESSES.value, _PROCESS.value
    check(address, count, mine, _TIMEOUT.value)
    settings = (
        {} if address == CLUSTER else {"coordinator_address": address, "num_processes": count, "process_id": mine}
    )
    with _patience(address, mine, count, _TIMEOUT.value):
        try:
            jax.distributed.initialize(
                **settings,
                initialization_timeout=_TIMEOUT.value + _SLACK_SECONDS,
                heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"--coordinator={address}: the processes did not meet ({reason}); start process 0 on that host first, "
                "on a free port, or name the address with --coordinator=HOST:PORT --processes=N --process=K"
            ) from error
    stopping.handle()  # JAX has its own use for SIGTERM, which ends nothing


def check(address: str, count: int, mine: int, timeout: int) -> None:
    """Raises `ValueError` if the flags do not fit together."""
    if address == CLUSTER and not (count or mine >= 0):
        return
    if not address:
        raise ValueError("--processes and --process need --coordinator=HOST:PORT, the address of process 0")
    if address == CLUSTER or not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"--coordinator={address} is not HOST:PORT, such as 10.0.0.1:1234; or leave --processes and --process out "
            f"and write --coordinator={CLUSTER}"
        )
    if not 0 <= mine < count:
        raise ValueError(
            f"--processes={count} and --process={mine}: there must be at least 1, and they are numbered from 0 to "
            f"{max(count, 1) - 1}"
        )
    if timeout < 1:
        raise ValueError(f"--coordinator_timeout={timeout} must be at least 1 second")


@contextlib.contextmanager
def _patience(address: str, mine: int, count: int, seconds: int) -> Iterator[None]:
    """Ends the process with one line if it is not left in time."""
    left, heard = threading.Event(), _Heard()
    logger = logging.getLogger("jax")
    if address == CLUSTER:
        logger.addHandler(heard)

    def watch() -> None:
        if not left.wait(seconds):
            print(f"error: {missed(heard.address or address, mine, count, seconds)}", file=sys.stderr, flush=True)
            os._exit(BAD_INPUT)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        left.set()
        logger.removeHandler(heard)


def missed(address: str, mine: int, count: int, seconds: int) -> str:
    """What to say about a meeting that did not take place."""
    if mine == 0 and address != CLUSTER:
        return (
            f"--coordinator={address}: not all of the other {count - 1} processes came within {seconds} s; start every "
            "--process from 0 to --processes - 1, or raise --coordinator_timeout"
        )
    return (
        f"--coordinator={address} did not answer within {seconds} s; start process 0 there, check the address and the "
        "firewall, or raise --coordinator_timeout"
    )


class _Heard(logging.Handler):
    """Keeps the last address that JAX speaks of, as it finds it in the environment of a cluster."""

    address = ""

    def emit(self, record: logging.LogRecord) -> None:
        found = _ADDRESS.search(record.getMessage())
        self.address = found[0] if found else self.address
