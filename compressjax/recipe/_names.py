"""From names to objects: `("prune.gradual", {"sparsity": 0.9, "end": 100})` is the call `prune.gradual(...)`."""

import difflib
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

FOLDERS = ("prune", "quant", "lowrank", "share", "saliency", "structure", "distill")
# A float in one of these arguments is a fraction of the training run's steps.
OF_TRAINING = ("begin", "end", "warmup", "at", "explore_until")
# With a key, these round by chance; recipes give them one only where the settings name it.
BY_CHANCE = ("quant.binary_connect", "quant.rtn")
Makers = Mapping[str, Callable[..., Any]]


def make(
    spec: Any, *, given: Makers | None = None, steps: int | None = None, label: str = "", where: str = "method"
) -> Any:
    """Calls the public function that a spec names, with the settings as keywords.

    Values that are specs themselves (a schedule, a pattern, a saliency, an optimizer) are made first. Arguments that
    JSON cannot hold come from makers in `given`, by argument name. A maker gets the spec's value (a mapping as
    keywords, a word as its argument). Without a value it is called without arguments if it needs none; the maker of
    `key` gets `label`, and methods that round by chance with a key get one only if the settings name it.

    Args:
        spec: `"prune.nonzero"`, or `("prune.gradual", settings)`; `"mylab.methods:toy"` outside of the package.
        given: Makers: `{"loss": lambda: loss, "key": lambda word: key}`.
        steps: Length of the training run, for arguments such as `end=0.6`.
        label: Label of the stage.
        where: Prefix of messages.

    Returns:
        The function's result.

    Raises:
        ValueError: If the function or a setting does not exist (gives the nearest), or the function refuses a value.

    Example:
        >>> make(("prune.gradual", {"sparsity": 0.9, "end": 0.5}), steps=200).name
        'gradual(sparsity=0.9, end=100)'
    """
    name, settings = split(spec, where)
    where, given = f"{where}: {name}", given or {}
    function = find(name, where)
    parameters = inspect.signature(function).parameters
    check_settings(settings, parameters, where)
    arguments = {k: _value(k, v, given, steps, label, where) for k, v in settings.items()}
    for argument in set(parameters) & set(given) - set(settings):
        if argument == "key":
            if name not in BY_CHANCE:
                arguments[argument] = given[argument](label)
        elif not _required(inspect.signature(given[argument]).parameters):
            arguments[argument] = given[argument]()
    if missing := [k for k in _required(parameters) if k not in arguments]:
        raise ValueError(f"{where} needs the settings {', '.join(missing)}")
    return _call(function, arguments, where)


def split(spec: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Name and settings of a spec; a name alone has no settings."""
    name, settings = (spec, {}) if isinstance(spec, str) else spec if _is_pair(spec) else (None, None)
    if not isinstance(name, str) or not isinstance(settings, Mapping):
        raise ValueError(f"{where}={spec!r} must be a name or a pair (name, {{setting: value}})")
    return name, dict(settings)


def find(name: str, where: str) -> Callable[..., Any]:
    """The function of a dotted name, or of `module:function` outside of the package."""
    if ":" not in name:
        known = public()
        if name in known:
            return known[name]
        raise ValueError(f"{where} is not a public function of compressjax{nearest(name, known)}")
    module, _, attribute = name.partition(":")
    try:
        home = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{where}: {module!r} cannot be imported ({error}); fix the name or the path") from error
    if not callable(getattr(home, attribute, None)):
        there = [key for key, value in vars(home).items() if callable(value) and key[0] != "_"]
        raise ValueError(f"{where}: {module} has no function {attribute!r}{nearest(attribute, there)}")
    return getattr(home, attribute)


@functools.cache
def public() -> dict[str, Callable[..., Any]]:
    """All functions that a dotted name can refer to."""
    found: dict[str, Callable[..., Any]] = {}

    def walk(prefix: str, module: types.ModuleType) -> None:
        for name in module.__all__:
            item = getattr(module, name)
            if isinstance(item, types.ModuleType):
                walk(f"{prefix}.{name}", item)
            elif inspect.isfunction(item):
                found[f"{prefix}.{name}"] = item

    for folder in FOLDERS:
        walk(folder, importlib.import_module(f"compressjax.{folder}"))
    return found


def nearest(name: str, known: Iterable[str], *, every: bool = False) -> str:
    """`"; the nearest is ..."`, by the whole name or its last part; with `every`, all names too."""
    known, last = list(known), name.rpartition(".")[2]
    alike = difflib.get_close_matches(name, known, 1) or [k for k in known if k.rpartition(".")[2] == last]
    tails = {k.rpartition(".")[2]: k for k in known}
    alike = alike or [tails[tail] for tail in difflib.get_close_matches(last, tails, 1)]
    hint = f"; the nearest is {alike[0]!r}" if alike else ""
    return hint + (f"; there are {', '.join(known)}" if every or not alike else "")


def check_settings(settings: Iterable[str], parameters: Mapping[str, inspect.Parameter], where: str) -> None:
    """Refuses settings that are not keywords of a function."""
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    known = [k for k, p in parameters.items() if p.kind not in (*_VARIADIC, p.POSITIONAL_ONLY)]
    for key in settings:
        if key not in known:
            raise ValueError(f"{where} has no setting {key!r}{nearest(key, known, every=True)}")


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    return [k for k, p in parameters.items() if p.default is p.empty and p.kind not in _VARIADIC]


def _is_pair(spec: Any) -> bool:
    return isinstance(spec, (tuple, list)) and len(spec) == 2


def _value(key: str, value: Any, given: Makers, steps: int | None, label: str, where: str) -> Any:
    here = f"{where}.{key}"
    if key in given and isinstance(value, (str, Mapping)):
        if isinstance(value, str):
            return given[key](value)
        check_settings(value, inspect.signature(given[key]).parameters, here)
        return _call(given[key], value, here)
    if key in OF_TRAINING and isinstance(value, float):
        if steps is None or not 0.0 <= value <= 1.0:
            raise ValueError(f"{here}={value} is not a fraction of a training run in [0, 1]; give a number of steps")
        return round(value * steps)
    if _is_pair(value) and isinstance(value[0], str) and isinstance(value[1], Mapping):
        return make(value, given=given, steps=steps, label=label, where=here)
    return tuple(value) if isinstance(value, list) else value


def _call(function: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> Any:
    try:
        return function(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
