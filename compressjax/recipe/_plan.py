"""Lists of methods as stages, with names, settings and order checked before anything trains."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from compressjax import core
from compressjax.core import Compression, Selector
from compressjax.core._node import has_nodes
from compressjax.recipe._names import Makers, check_settings, find, make, nearest, public, split
from compressjax.recipe._stage import check_name
from compressjax.recipe._work import Part, Work, begin, trial

# Settings of a stage that are not passed to its method.
_OWN = ("label", "select", "rules", "train", "stats", "open")
_TRAINERS = ("train", "distill")
# Suffixes that a node may append to the path of the value that it replaces.
_INSIDE = ("", "/left", "/right", "/value", "/centroids", "/left/centroids", "/right/centroids")


class Planned(NamedTuple):
    """A checked stage.

    Attributes:
        label: Unique in the list; by default the last part of the name.
        name: Dotted name of the method, or of a driver.
        settings: JSON values, including defaults of drivers and training runs: what the result depends on.
        parts: The method by selector; empty for drivers.
        train: Settings of the training run; None for a stage without one.
        stats: Settings of the statistics that the method reads.
        open: Selector of the grids that become values again first.
        unsure: Whether the leaves depend on the values of an earlier stage.
    """

    label: str
    name: str
    settings: dict[str, Any]
    parts: tuple[Part, ...] = ()
    train: dict[str, Any] | None = None
    stats: Any = None
    open: Selector | None = None
    unsure: bool = False

    def start(self, tree: Any, seen: Any = None) -> Work:
        """The stage on a tree; `seen` are statistics of the network with this tree, concrete or abstract."""
        return begin(f"stage {self.label}", tree, self.parts, self.open, self.unsure, seen)


def plan(
    stages: Sequence[Any],
    params: Any,
    *,
    train: Mapping[str, Any] | None = None,
    steps: Callable[[Mapping[str, Any]], int] = lambda settings: settings["steps"],
    drivers: Mapping[str, Callable[..., Any]] | None = None,
    given: Makers | None = None,
    seen: Callable[[Any], Any] | None = None,
) -> list[Planned]:
    """Turns a list of `(name, settings)` into stages that a training loop can run.

    A name is a public method (`"prune.gradual"`), a function elsewhere (`"mylab.methods:toy"`), `"chain"` or
    `"sequence"` with a list of such pairs, or a driver: `"train"`, `"distill"` (with the settings of a training run),
    `"encode"` (with `rules` only; must be last), or one of `drivers`. Settings are the method's keywords, and:

    - `select`: a selector; or `rules`: pairs `(selector, settings)` or `(selector, (name, settings))`, of which the
      first that matches a leaf applies. By default the method acts on kernels.
    - `train`: the settings of the training run in which the method acts; without it, the method acts at once.
    - `stats`: what to observe, for methods that read statistics.
    - `open`: selector of integer grids that become values again first.
    - `label`: another name for the stage.

    The stages run on abstract values, so a method that cannot follow another is refused here.

    Args:
        stages: The list.
        params: The network's parameters, concrete or abstract.
        train: Settings of training runs, with their defaults.
        steps: Maps settings of a training run to its number of steps, at least 1, for `end=0.6`; raises `ValueError`
            for settings that are wrong.
        drivers: More drivers by name; their keyword-only arguments are the settings. The leaves are unknown after any
            driver except `generate`, which leaves them, and `shrink`, which needs a tree without nodes.
        given: Makers of arguments that JSON cannot hold, see `make`.
        seen: Abstract statistics of the network with a tree, as
            `lambda tree: jax.eval_shape(observe(apply), tree, example)[1]`: methods then take the axes of every leaf
            from the network, and leaves that do not fit a method are known before anything trains.

    Returns:
        The stages. For each, `work = stage.start(tree)`. Without `train`, `tree = work.apply(stats)`. With it, train
        `params = work.params` with `core.as_optax(work.compression, optimizer)` on the loss of
        `work.view(params, state.compression)`; then `tree = work.encode(params, state.compression)`.

    Raises:
        ValueError: If a name, a setting, a selector or the order is wrong; gives the place and the nearest right name.

    Example:
        >>> import jax.numpy as jnp
        >>> tree = {"w": jnp.arange(8.0).reshape(4, 2)}
        >>> for stage in plan([("prune.magnitude", {"sparsity": 0.5}), ("quant.rtn", {"bits": 4})], tree):
        ...     tree = stage.start(tree).apply()
        >>> type(tree["w"]).__name__, type(tree["w"].value).__name__
        ('Masked', 'Quantized')
    """
    planner = _Planner(dict(train or {}), steps, dict(drivers or {}), given or {})
    planned: list[Planned] = []
    unsure = False
    trees = [jax.eval_shape(lambda x: x, params)]
    for i, spec in enumerate(stages):
        stage = planner.stage(spec, f"stages[{i}]")
        where = f"stages[{i}] ({stage.label})"
        if stage.label in (labels := [other.label for other in planned]):
            other = labels.index(stage.label)
            raise ValueError(f"{where} has the label of stages[{other}]; give one of them a `label`")
        if planned and planned[-1].name == "encode":
            raise ValueError(f"{where}: nothing can follow encode; put encode last")
        if stage.name == "distill" and not planned:
            raise ValueError(f"{where} has no teacher; put a stage `train` first")
        stage = stage._replace(unsure=unsure)
        tree, known = _after(stage, where, planned, trees, seen)
        unsure = unsure or not known
        trees.append(tree)
        planned.append(stage)
    return planned


def label_of(spec: Any) -> str:
    """Returns the label of a stage: its setting `label`, or the last part of its name.

    Args:
        spec: `(name, settings)`, or a name.

    Returns:
        The label.

    Example:
        >>> label_of(("prune.gradual", {})), label_of(("train", {"label": "teacher"}))
        ('gradual', 'teacher')
    """
    name, settings = _split(spec, "stage")
    return str(settings.get("label", name.replace(":", ".").rpartition(".")[2]))


class _Planner(NamedTuple):
    train: dict[str, Any]
    steps: Callable[[Mapping[str, Any]], int]
    drivers: dict[str, Callable[..., Any]]
    given: Makers

    def stage(self, spec: Any, where: str) -> Planned:
        """One stage of the list, without a check of the order."""
        name, settings = _split(spec, where)
        label = label_of(spec)
        settings.pop("label", None)
        check_name(label, where)
        where = f"{where} ({label})"
        if name in _TRAINERS:
            full = self._training(settings, f"{where}: {name}")
            self._count(full, where)
            return Planned(label, name, {"train": full}, (), full)
        if name in self.drivers:
            parameters = inspect.signature(self.drivers[name]).parameters
            keywords = {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
            check_settings(settings, keywords, f"{where}: {name}")
            full = {**{k: p.default for k, p in keywords.items() if p.default is not p.empty}, **settings}
            if lacking := [k for k in keywords if k not in full]:
                raise ValueError(f"{where}: {name} needs the settings {', '.join(lacking)}")
            return Planned(label, name, full)
        if name == "encode" and set(settings) != {"rules"}:
            raise ValueError(f"{where}: encode takes only `rules`, as in rules=[('.*bias', ('quant.rtn', {{}}))]")
        if name not in ("chain", "sequence", "encode") and ":" not in name and name not in public():
            known = [*_TRAINERS, "encode", "chain", "sequence", *self.drivers, *public()]
            raise ValueError(f"{where}: {name!r} is neither a driver nor a public method{nearest(name, known)}")
        full = dict(settings)
        if "train" in settings:
            full["train"] = self._training(settings["train"], f"{where}.train")
        steps = self._count(full["train"], where) if "train" in full else None
        own = {key: settings.pop(key) for key in _OWN if key in settings}
        parts = self._parts(name, settings, own, steps, label, where)
        needs = sorted({need for part in parts for need in part.compression.needs})
        if needs and "stats" not in own:
            raise ValueError(f"{where} reads the statistics {needs}; add `stats`, the settings of what to observe")
        return Planned(label, name, full, parts, full.get("train"), own.get("stats"), own.get("open"))

    def _training(self, settings: Any, where: str) -> dict[str, Any]:
        for key, value in dict(settings).items():
            if key not in self.train:
                raise ValueError(f"{where} has no setting {key!r}{nearest(key, self.train, every=True)}")
            if isinstance(self.train[key], (int, float)) and not isinstance(value, (int, float)):
                raise ValueError(f"{where}.{key}={value!r} must be a number, as {self.train[key]!r}")
        return {**self.train, **settings}

    def _count(self, settings: Mapping[str, Any], where: str) -> int:
        """Steps of a training run, at least one."""
        try:
            steps = self.steps(settings)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if steps < 1:
            raise ValueError(f"{where} would train for {steps} steps with {dict(settings)}; raise what counts them")
        return steps

    def _parts(
        self, name: str, settings: dict[str, Any], own: Mapping[str, Any], steps: int | None, label: str, where: str
    ) -> tuple[Part, ...]:
        if "rules" not in own:
            return (Part(own.get("select"), self._method(name, settings, steps, label, where)),)
        rules = list(own["rules"].items()) if isinstance(own["rules"], Mapping) else own["rules"]
        if not isinstance(rules, (tuple, list)) or any(not isinstance(r, (tuple, list)) or len(r) != 2 for r in rules):
            raise ValueError(f"{where}: rules={rules!r} must be pairs of a selector and a method, as in "
                             "rules=[('.*bias', ('quant.rtn', {}))]")  # fmt: skip
        parts: list[Part] = []
        for i, (selector, rule) in enumerate(rules):
            here = f"{where}.rules[{i}]"
            if selector in [part.selector for part in parts]:
                raise ValueError(f"{here} has the selector {selector!r} of an earlier rule; remove one of them")
            other, more = (name, {**settings, **rule}) if isinstance(rule, Mapping) else split(rule, here)
            parts.append(Part(selector, self._method(other, more, steps, label, here)))
        return tuple(parts)

    def _method(self, name: str, settings: Mapping[str, Any], steps: int | None, label: str, where: str) -> Compression:
        if name in ("chain", "sequence"):
            inner = []
            for i, spec in enumerate(settings.get("of", ())):
                here = f"{where}.of[{i}]"
                part, more = split(spec, here)
                selector = more.pop("select", None)
                made = self._method(part, more, steps, label, here)
                inner.append(made if selector is None else core.only(selector, made))
            if set(settings) != {"of"} or len(inner) < 2 or (name == "sequence" and len(inner) > 2):
                count = "two" if name == "sequence" else "two or more"
                raise ValueError(f"{where}: {name} takes a list of {count} methods")
            return core.chain(*inner) if name == "chain" else core.sequence(*inner)
        made = make((name, settings), given=self.given, steps=steps, label=label, where=where)
        if not isinstance(made, Compression):
            kind = getattr(find(name, where), "__name__", name)
            raise ValueError(f"{where}: {kind} returns a {type(made).__name__}, not a compression; use it as a setting")
        return made


def _split(spec: Any, where: str) -> tuple[str, dict[str, Any]]:
    """A stage as a pair; a list in place of settings holds the methods of a chain or sequence."""
    if isinstance(spec, (tuple, list)) and len(spec) == 2 and isinstance(spec[1], (tuple, list)):
        spec = (spec[0], {"of": spec[1]})
    return split(spec, where)


def _after(stage: Planned, where: str, planned: Sequence[Planned], trees: Sequence[Any], seen: Any) -> tuple[Any, bool]:
    """The abstract tree after a stage and True, or the tree before it and False if the new one depends on values."""
    tree = trees[-1]
    if stage.unsure:
        _check_patterns(stage, where, tree)
        return tree, False
    if stage.name == "shrink" and has_nodes(tree):
        last = max(j for j in range(len(planned)) if trees[j + 1] is not trees[j])
        raise ValueError(f"{where}: shrink needs dense kernels; put it before stages[{last}] ({planned[last].label})")
    if not core.values(tree):
        raise ValueError(f"{where}: earlier stages leave no values to act on; put it before {planned[-1].label}")
    if not stage.parts:
        return tree, stage.name in (*_TRAINERS, "generate", "shrink")
    try:
        left = trial(stage.start(tree, None if seen is None else seen(tree)))
        return (tree, False) if left is None else (left, True)
    except ValueError as error:
        reason = str(error).removeprefix(f"stage {stage.label}: ")
        for j, other in enumerate(trees[:-1]):
            if _fits(stage, other) and not _fits(stage, trees[j + 1]):
                raise ValueError(f"{where} cannot follow stages[{j}] ({planned[j].label}): {reason}") from error
        raise ValueError(f"{where}: {reason}") from error


def _fits(stage: Planned, tree: Any) -> bool:
    try:
        trial(stage.start(tree))
    except ValueError:
        return False
    return True


def _check_patterns(stage: Planned, where: str, tree: Any) -> None:
    """Refuses patterns that cannot match any path, even if the leaves are unknown."""
    known = {**core.nodes(tree), **core.values(tree)}
    for pattern in [part.selector for part in stage.parts] + [stage.open]:
        if isinstance(pattern, str) and not any(
            core.matches(pattern, path + inside, leaf) for path, leaf in known.items() for inside in _INSIDE
        ):
            raise ValueError(f"{where}: pattern {pattern!r} matches none of {sorted(known)}; fix or remove it")
