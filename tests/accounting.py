"""What the suite costs: workers within the memory, compiled programs dropped in time, and the bill at the end.

JAX keeps every program that it compiled; over a run of the suite that comes to gigabytes. Dropping them costs a second
and what is traced again, so it is done when a worker has grown, between two tests, never within one.
"""

import ctypes
import functools
import gc
import itertools
import os
import pathlib
import resource
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

WORKER_BYTES = 2_500_000_000
# A worker drops its compiled programs above this size, and again only when it has grown by `STEP` since.
FULL, STEP = 1_200_000_000, 250_000_000
SLOWEST = 10
# A file to which every test adds a line with its CPU seconds: where to look for what can go.
COSTS = os.environ.get("TEST_COSTS", "")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> float:
    """Bytes that new processes can have, as the system or the container says; infinite where neither does."""
    found = [float("inf")]
    meminfo, group = pathlib.Path("/proc/meminfo"), pathlib.Path("/sys/fs/cgroup")
    if meminfo.exists():
        found += [1024.0 * int(x.split()[1]) for x in meminfo.read_text().splitlines() if x.startswith("MemAvailable")]
    if (group / "memory.max").exists() and (limit := (group / "memory.max").read_text().strip()) != "max":
        found.append(float(limit) - float((group / "memory.current").read_text()))
    return min(found)


def fitting(asked: int, free: float) -> int:
    """Of the workers asked for, those that the free memory holds; at least one."""
    return max(1, int(min(asked, free / WORKER_BYTES)))


def resident() -> int:
    """Bytes that this process has in memory; where the system does not say, the most that it ever had."""
    statm = pathlib.Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else peak()


def peak() -> int:
    """The most bytes that this process ever had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def shared(make: Callable[[], Any], uses: int = 300) -> Callable[[], Any]:
    """The function, whose results serve `uses` times each."""
    turns = itertools.count()

    @functools.lru_cache(maxsize=1)
    def made(_: int) -> Any:
        return make()

    return lambda: made(next(turns) // uses)


def release() -> None:
    """Drops what JAX compiled and traced, and hands the memory back: glibc would keep it."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)


def cpu() -> float:
    """CPU seconds of this process and of the children that it waited for."""
    return sum(os.times()[:4])


def bill(workers: dict[str, dict[str, Any]], mutants: tuple[int, int]) -> list[str]:
    """The lines that close a run."""
    tests = [pair for worker in workers.values() for pair in worker["tests"]]
    lines = [f"{seconds:7.2f} s  {name}" for seconds, name in sorted(tests, reverse=True)[:SLOWEST]]
    total, collecting = (sum(worker[what] for worker in workers.values()) for what in ("cpu", "collecting"))
    lines.append(f"CPU time: {total / 60:.1f} minutes, {collecting:.0f} s of it to import and collect")
    lines.append("peak memory: " + ", ".join(f"{name} {w['peak'] / 1e9:.2f} GB" for name, w in workers.items()))
    return [*lines, f"mutants killed: {mutants[0]} of {mutants[1]}"]


class Accounts:
    """Counts in every process that runs tests; the process that reports adds up."""

    def __init__(self, config: pytest.Config) -> None:
        """Starts the count of one process."""
        self._worker = getattr(config, "workeroutput", None)
        self._tests: list[tuple[float, str]] = []
        self._collecting = 0.0
        self._full = float(FULL)
        self._workers: dict[str, dict[str, Any]] = {}
        self._mutants = {"passed": 0, "failed": 0}

    def pytest_collection_finish(self) -> None:
        """Notes what imports and collection took."""
        self._collecting = cpu()
        # Modules and collected tests stay to the end: the collector need not walk them over and over.
        gc.collect()
        gc.freeze()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Counts a test with its fixtures; then makes room if it is time."""
        start = cpu()
        outcome = yield
        self._tests.append((cpu() - start, item.nodeid))
        if COSTS:
            with open(COSTS, "a", encoding="utf-8") as file:
                file.write(f"{self._tests[-1][0]:.3f}\t{item.nodeid}\n")
        if resident() > self._full:
            release()
            self._full = max(float(FULL), resident() + STEP)
        return outcome

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts mutants."""
        if "mutant" in report.keywords and (report.when == "call" or report.failed):
            self._mutants["passed" if report.passed else "failed"] += 1

    def _own(self) -> dict[str, Any]:
        slowest = sorted(self._tests, reverse=True)[:SLOWEST]
        return {"cpu": cpu(), "collecting": self._collecting, "peak": peak(), "tests": slowest}

    def pytest_sessionfinish(self) -> None:
        """Hands a worker's numbers over."""
        if self._worker is not None:
            self._worker["accounts"] = self._own()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes a worker's numbers; one that crashed has none."""
        if accounts := getattr(node, "workeroutput", {}).get("accounts"):
            self._workers[node.gateway.id] = accounts

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """Prints the bill below everything else."""
        yield
        workers = self._workers or {"this process": self._own()}
        terminalreporter.section("accounts")
        for line in bill(workers, (self._mutants["passed"], sum(self._mutants.values()))):
            terminalreporter.write_line(line)
