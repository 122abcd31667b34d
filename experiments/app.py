"""Shared parts of launchers: flags, devices, and one-line errors instead of tracebacks."""

import ast
import contextlib
import logging
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

# JAX reads these once, at import. On a CPU it would only log the absence of other devices.
os.environ.setdefault("JAX_PLATFORMS", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from compressjax import recipe
from experiments import cluster, hosts, stopping, trackers
from experiments import parallel as parallel_
from experiments.cluster import BAD_INPUT
from experiments.complaints import one_line
from experiments.meshes import make_mesh

LOST = 1

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file, with an argument after a colon.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for everything that the run writes.")
_SET = flags.DEFINE_multi_string(
    "set", [], "A setting of one stage (or method) by its label: --set=prune.sparsity=0.9; may be repeated."
)
_CACHE = flags.DEFINE_string(
    "cache",
    "",
    "Folder for checkpoints; several work directories may share one (default: checkpoints in the work directory).",
)
_DATA_CACHE = flags.DEFINE_string("data_cache", "", "Folder for data records (default: ~/.cache/compressjax).")
_HELD: dict[str, recipe.Lock] = {}  # until the process ends
_DEVICES = flags.DEFINE_integer("devices", 0, "Number of devices to split batches over; all of them when 0.")
_PARALLEL = flags.DEFINE_enum("parallel", "jit", parallel_.WAYS, "How training steps run on several devices.")
_MESH = flags.DEFINE_string("mesh", "", "Axes of the devices: --mesh=data:4,model:2; one axis, data, if empty.")
_PROFILE = flags.DEFINE_string("profile", "", "Folder for a profiler trace of one chunk of steps of every stage.")
_TRACKERS = flags.DEFINE_list("trackers", ["jsonl", "tensorboard"], f"Where metrics go: {', '.join(trackers.KINDS)}.")
_PREEMPTIBLE = flags.DEFINE_bool("preemptible", False, "After SIGTERM, exit with 0 once the state is saved, not 143.")


class Launch(NamedTuple):
    """Arguments of a main function.

    Attributes:
        config: The config's fields, with overrides applied.
        workdir: Folder of the run.
        cache: Folder of the checkpoints.
        data_cache: Folder of data records, or empty.
        mesh: Devices, with the axis `data`.
        parallel: How training steps run on them, one of `parallel.WAYS`.
        trackers: Where metrics go.
        profile: Folder of profiler traces, or empty.
    """

    config: dict[str, Any]
    workdir: str
    cache: str
    data_cache: str
    mesh: jax.sharding.Mesh
    parallel: str = "jit"
    trackers: tuple[str, ...] = ("jsonl",)
    profile: str = ""


def launch(main: Callable[[Launch], None], *, spreads: bool = False, joins: bool = False) -> None:
    """Parses flags, runs `main` with the parsed launch, and ends the process.

    Args:
        main: The job.
        spreads: Whether it, or the jobs that it starts, follow the flags for several devices; else they are refused.
        joins: Whether it may be one of several processes.
    """
    simple(lambda: main(launched(spreads, joins)))


def simple(main: Callable[[], None]) -> None:
    """Parses flags, runs `main`, and ends the process: 0 for success, 2 for bad input, 130 and 143 for a stop.

    With `--preemptible`, a stop by SIGTERM that saved ends with 0 as well.
    """

    def run(argv: Sequence[str]) -> int:
        try:
            if len(argv) > 1:
                raise ValueError(f"argument {argv[1]!r} is not a flag; see --help")
            main()
        except (ValueError, OSError) as error:
            return hosts.end(_complain(error))
        except jax.errors.JaxRuntimeError as error:
            if not hosts.several():
                raise
            reason = str(error).strip().splitlines()[0][:200]
            print(f"error: another process of the run was lost ({reason}). To resume: start all of them again",
                  file=sys.stderr)  # fmt: skip
            return hosts.end(LOST)
        except KeyboardInterrupt as stop:
            text = f"{stop or 'stopped; what was written stays'}. To resume: {command()}"
            hosts.part()
            stopping.leave(text, saved=_PREEMPTIBLE.value)
        return 0

    stopping.install()
    # Orbax writes several arrays at once; when a disk is full, each of them would log what is said once.
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    app.run(run, flags_parser=_parse)


def write(folder: str, files: Mapping[str, str | bytes]) -> None:
    """Writes files by name into the run's folder, which it makes, each one atomically."""
    os.makedirs(folder, exist_ok=True)
    for name, content in files.items():
        recipe.write_file(os.path.join(folder, name), content)


def claim(launch: Launch) -> None:
    """Takes the work directory for this process, after any other run that works in it, and checks its config.

    Args:
        launch: Config and folders.

    Raises:
        ValueError: If the folder has another config.
    """
    hosts.told(lambda: _claim(launch))


def _claim(launch: Launch) -> None:
    recipe.claim(launch.workdir, launch.config)
    lock = _HELD.setdefault(launch.workdir, recipe.Lock(os.path.join(launch.workdir, ".lock")))
    said = False
    while not lock.acquire():
        if not said:
            print(f"waiting for {lock.owner()}, which works in {launch.workdir}", flush=True)
            said = True
        time.sleep(0.25)
    # Another run may have claimed it at the same moment with another config.
    recipe.claim(launch.workdir, launch.config)


def data_cache() -> str:
    """Folder of data records from the flag; empty for the default."""
    recipe.refuse_url(_DATA_CACHE.value, "--data_cache")
    return _DATA_CACHE.value


def make_way(devices: int = 0, mesh: str = "", parallel: str = "jit") -> parallel_.Way:
    """How training code runs, on a mesh of `devices` devices (all if 0); raises `ValueError` for what does not fit."""
    way = parallel_.Way(parallel, make_mesh(devices, mesh))
    if parallel == "pmap" and way.parts != way.mesh.size:
        raise ValueError(
            f"--parallel=pmap with --mesh={mesh}: pmap has one axis, data; write --mesh=data:{way.mesh.size}, "
            "or choose --parallel=jit"
        )
    return way


def has_config() -> bool:
    """Whether `--config` is given."""
    return _CONFIG.value is not None


def workdir() -> str:
    """Folder of the run, from `--workdir`.

    Raises:
        ValueError: If it is missing, or a folder of another flag is a URL.
    """
    if not _WORKDIR.value:
        raise ValueError("--workdir is missing; name a folder, for example --workdir=runs/digits")
    for flag, value in _folders().items():
        recipe.refuse_url(value, flag)
    return os.path.abspath(_WORKDIR.value)


def launched(spreads: bool = False, joins: bool = False) -> Launch:
    """The launch that the flags describe.

    Args:
        spreads: As for `launch`.
        joins: As for `launch`.

    Raises:
        ValueError: If a flag or a setting is wrong.
    """
    if not has_config():
        raise ValueError("--config is missing; name a file, for example --config=configs/digits.py")
    folder = workdir()
    try:
        config = _CONFIG.value.to_dict()
    except OSError as error:
        raise ValueError(
            f"the config file cannot be loaded ({str(error).splitlines()[-1].strip()}); "
            "name one that exists, for example --config=configs/digits.py"
        ) from error
    config = _unshared(config)
    for text in _SET.value:
        override(config, text)
    cache = os.path.abspath(_CACHE.value) if _CACHE.value else os.path.join(folder, "checkpoints")
    chosen = trackers.check(_TRACKERS.value)
    if cluster.asked() and not joins:
        raise ValueError("--coordinator, --processes and --process are flags of experiments.compress; remove them here")
    if not spreads and (_MESH.value or _PARALLEL.value != "jit" or _PROFILE.value):
        raise ValueError("--parallel, --mesh and --profile are flags of experiments.compress; remove them here")
    cluster.join()
    way = make_way(_DEVICES.value, _MESH.value, _PARALLEL.value)
    return Launch(config, folder, cache, _DATA_CACHE.value, way.mesh, way.name, chosen, _PROFILE.value)


def override(config: dict[str, Any], text: str) -> None:
    """Changes one setting in `config["stages"]`, or in a study's `config["methods"]`.

    Args:
        config: changed in place.
        text: label, settings and value, as in `prune.train.epochs=20`; words need no quotes.

    Raises:
        ValueError: when there is no such label.

    Example:
        >>> config = {"stages": (("prune.gradual", {"sparsity": 0.5}),)}
        >>> override(config, "gradual.sparsity=0.9")
        >>> config["stages"][0][1]
        {'sparsity': 0.9}
    """
    place, _, value = text.partition("=")
    label, *path = place.split(".")
    known = {recipe.label_of(spec): spec[1] for spec in config.get("stages", ())}
    known |= {name: spec[1] for name, spec in config.get("methods", ())}
    for key in [label, *path[:-1]]:
        if key not in known:
            raise ValueError(
                f"--set={text}: there is no {key!r}; write LABEL.SETTING=VALUE, there are {', '.join(known)}"
            )
        known = known[key]
        known = known[1] if isinstance(known, (tuple, list)) and len(known) == 2 else known  # a name with settings
        if not isinstance(known, dict):
            raise ValueError(f"--set={text}: {key!r} has no settings of its own")
    if not path:
        raise ValueError(f"--set={text}: write LABEL.SETTING=VALUE, as in --set=prune.sparsity=0.9")
    try:
        known[path[-1]] = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        known[path[-1]] = value


def _unshared(value: Any) -> Any:
    """A copy in which no two stages share a dict."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return type(value)(map(_unshared, value)) if isinstance(value, (tuple, list)) else value


def _parse(argv: Sequence[str]) -> list[str]:
    """Flags as absl parses them; errors fit on one line."""
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError, SyntaxError) as error:
        sys.exit(_complain(error))


def _complain(error: Exception) -> int:
    folders = {flag: os.path.abspath(value) for flag, value in _folders().items() if value}
    print(f"error: {one_line(error, folders)}", file=sys.stderr)
    return BAD_INPUT


def _folders() -> dict[str, str]:
    """The folders that flags name, as typed; none before the flags are parsed."""
    if not flags.FLAGS.is_parsed():
        return {}
    return {
        "--workdir": _WORKDIR.value or "",
        "--cache": _CACHE.value,
        "--data_cache": _DATA_CACHE.value,
        "--profile": _PROFILE.value,
    }


def command() -> str:
    """The command line of this process, as typed."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", module.name.removesuffix(".__main__")] if module else sys.argv[:1]
    return shlex.join(["python", *program, *sys.argv[1:]])


def describe_machine() -> dict[str, Any]:
    """Processor, cores and versions, on which figures depend."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        processor = names[0] if names else processor
    packages = ("jax", "flax", "optax", "numpy", "constriction")
    return {
        "machine": f"{processor}, {os.cpu_count()} cores, {jax.default_backend()}",
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
    }
