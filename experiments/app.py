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
from experiments import stopping
from experiments.complaints import one_line

BAD_INPUT = 2

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


class Launch(NamedTuple):
    """Arguments of a main function.

    Attributes:
        config: The config's fields, with overrides applied.
        workdir: Folder of the run.
        cache: Folder of the checkpoints.
        data_cache: Folder of data records, or empty.
        mesh: Devices, with the axis `data`.
    """

    config: dict[str, Any]
    workdir: str
    cache: str
    data_cache: str
    mesh: jax.sharding.Mesh


def launch(main: Callable[[Launch], None]) -> None:
    """Parses flags, runs `main` with the parsed launch, and ends the process."""
    simple(lambda: main(launched()))


def simple(main: Callable[[], None]) -> None:
    """Parses flags, runs `main`, and ends the process: 0 for success, 2 for bad input, 130 and 143 for a stop."""

    def run(argv: Sequence[str]) -> int:
        try:
            if len(argv) > 1:
                raise ValueError(f"argument {argv[1]!r} is not a flag; see --help")
            main()
        except (ValueError, OSError) as error:
            return _complain(error)
        except KeyboardInterrupt as stop:
            stopping.leave(f"{stop or 'stopped; what was written stays'}. To resume: {command()}")
        return 0

    stopping.install()
    # Orbax writes several arrays at once; when a disk is full, each of them would log what is said once.
    absl_logging.set_verbosity(absl_logging.FATAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    app.run(run, flags_parser=_parse)


def write(folder: str, files: Mapping[str, str | bytes]) -> None:
    """Writes files by name into the run's folder, each one atomically."""
    for name, content in files.items():
        recipe.write_file(os.path.join(folder, name), content)


def claim(launch: Launch) -> None:
    """Takes the work directory for this process, after any other run that works in it, and checks its config.

    Args:
        launch: Config and folders.

    Raises:
        ValueError: If the folder has another config.
    """
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


def make_mesh(devices: int = 0) -> jax.sharding.Mesh:
    """A mesh with one axis, `data`, of `devices` devices (all if 0); raises `ValueError` if there are fewer."""
    present = jax.devices()
    if not 0 <= devices <= len(present):
        raise ValueError(
            f"--devices={devices}, but there are {len(present)}; lower it, or on a CPU set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={devices}"
        )
    chosen = present[: devices or len(present)]
    return jax.make_mesh((len(chosen),), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=chosen)


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


def launched() -> Launch:
    """The launch that the flags describe.

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
    return Launch(config, folder, cache, _DATA_CACHE.value, make_mesh(_DEVICES.value))


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
    return {"--workdir": _WORKDIR.value or "", "--cache": _CACHE.value, "--data_cache": _DATA_CACHE.value}


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
