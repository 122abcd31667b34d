"""The plan of a calibration: what is compressed, by which method, in which steps, and what memory that takes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax

from compressjax.calibration._activations import cut_of, held_at, used_by
from compressjax.calibration._progress import in_use, peak
from compressjax.calibration._steps import Step, steps
from compressjax.calibration._survey import Survey, survey
from compressjax.calibration._watch import Taken
from compressjax.core import Compression, Selector, kernels, matches, nodes, values
from compressjax.core._digest import digest_of, digest_of_text
from compressjax.core._fit import Fit, Rules, fit, layouts_in
from compressjax.core._layout import Layout
from compressjax.core._partition import assign
from compressjax.measure import memory_bytes
from compressjax.quant._clip_activations import check_clip
from compressjax.quant.grids._grid import Clip

_COPIES = 4  # of the statistics of one leaf, while a method works on it


class Plan(NamedTuple):
    """What a calibration does.

    Attributes:
        survey: The batches.
        fit: What the rules take and leave out.
        methods: `{path: method}`.
        owner: `{value path: path of the leaf that holds it}`.
        steps: In order.
        layout: `{path: axes}`, or None.
        clip: How ranges of activations are lowered, or None.
        expected: Peak memory in bytes.
    """

    survey: Survey
    fit: Fit
    methods: dict[str, Compression]
    owner: dict[str, str]
    steps: list[Step]
    layout: Mapping[str, Layout] | None
    clip: Clip | None
    expected: int


def make_plan(
    fn: Callable[..., Any], params: Any, batches: Iterable[Any], rules: Rules, order: Iterable[Selector] | None,
    together: Iterable[Selector], unfit: str, clip: Clip | None = None,
) -> Plan:  # fmt: skip
    """Plans on abstract values, after one reading of the batches."""
    flat = values(params)
    methods = _methods(rules, flat)
    taken = {path: Taken("gram" in c.needs, clip is not None and "absmax" in c.needs) for path, c in methods.items()}
    _check_clip(clip, taken)
    found = survey(fn, params, batches, taken)
    stats = {path: s for traced in reversed(found.lines) for path, s in traced.products.stats.items()}
    owner = _owners(flat, nodes(params))
    _check_read(methods, flat, owner, found, bare=isinstance(rules, Compression))
    fitted = fit(params, rules, stats, unfit=unfit)
    taken = {path: flat[path] for path in fitted.taken if path not in fitted.tied}
    made = steps(taken, owner, found.lines, order, together)
    expected = _expected(params, fitted, stats, found, made, owner)
    return Plan(found, fitted, methods, owner, made, layouts_in(stats), clip, expected)


def digests(plan: Plan, params: Any) -> dict[str, str]:
    """Digests of everything that the result follows from."""
    lines = plan.survey.lines
    consts = [digest_of(list(traced.line.consts.values())) for traced in lines]
    settings = [f"jax {jax.__version__} on {jax.default_backend()}", repr(plan.steps), repr(sorted(plan.fit.taken)),
                repr(plan.clip)]  # fmt: skip
    return {
        "batches": plan.survey.digest,
        "params": digest_of(params),
        "function": digest_of_text([traced.line.text for traced in lines] + consts),
        "settings": digest_of_text(settings + _programs(plan, values(params))),
    }


def _programs(plan: Plan, flat: Mapping[str, Any]) -> list[str]:
    """Names of the methods, and what they compute; a name need not have all settings."""
    stats = {path: s for traced in reversed(plan.survey.lines) for path, s in traced.products.stats.items()}
    known: dict[Any, str] = {}
    for path in (path for step in plan.steps for path in step):
        method, x = plan.methods[path], flat[path]
        key = (id(method), x.shape, str(x.dtype), str(stats.get(path)))
        if key not in known:
            known[key] = f"{method.name} {_program(method, x, stats.get(path))}"
    return list(known.values())


def _program(method: Compression, x: Any, stats: Any) -> str:
    def encode(x: Any, stats: Any) -> Any:
        tree = {"leaf": x}
        state = method.after_step(tree, method.init(tree), None if stats is None else {"leaf": stats})[1]
        return jax.tree.leaves(method.encode(tree, state))

    try:
        closed = jax.make_jaxpr(encode)(x, stats)
    except Exception:
        return ""
    return f"{closed.jaxpr} {digest_of(list(closed.consts))}"


def _methods(rules: Rules, flat: Mapping[str, Any]) -> dict[str, Compression]:
    if isinstance(rules, Compression):
        return dict.fromkeys(flat, rules)
    if not isinstance(rules, Mapping) or not rules:
        raise ValueError(f"calibrate: rules={rules!r}; give a compression, or {{selector: compression}}")
    parts = assign(tuple(rules), flat)
    return {path: c for c, (_, mine) in zip(rules.values(), parts, strict=True) for path in mine}


def _check_clip(clip: Clip | None, taken: Mapping[str, Taken]) -> None:
    """Refuses a clip that is unknown, or that no method would see."""
    if clip is None:
        return
    check_clip("calibrate", clip)
    if not any(kind.histogram for kind in taken.values()):
        raise ValueError(
            f"calibrate: clip={clip!r} lowers ranges of activations, and no method of the rules reads them; use "
            'methods with activation="static", or leave out clip'
        )


def _owners(flat: Mapping[str, Any], leaves: Mapping[str, Any]) -> dict[str, str]:
    """The leaf that holds each value: itself, or a node."""
    held = {}
    for path in flat:
        parts = path.split("/")
        names = ("/".join(parts[:n]) for n in range(len(parts), -1, -1))
        held[path] = next(name for name in names if name in leaves)
    return held


def _check_read(
    methods: Mapping[str, Compression], flat: Mapping[str, Any], owner: Mapping[str, str], found: Survey, bare: bool
) -> None:
    """Refuses leaves that no batch reaches."""
    read = {path for traced in found.lines for path in traced.products.first}
    lost = [path for path, c in methods.items() if c.needs and owner[path] not in read
            and (not bare or matches(kernels, path, flat[path]))]  # fmt: skip
    if lost:
        raise ValueError(
            f"calibrate: no batch reaches {', '.join(map(repr, lost[:8]))}: the function does not use these "
            "leaves; leave them out by the selector of a rule, or calibrate the function that uses them"
        )


def _expected(
    params: Any, fitted: Fit, stats: Mapping[str, Any], found: Survey, made: list[Step], owner: Mapping[str, str]
) -> int:
    c = fitted.compression

    def encode(params: Any, stats: Any) -> Any:
        return c.encode(params, c.after_step(params, c.init(params), stats)[1])

    before = memory_bytes(params)
    try:
        after = memory_bytes(jax.eval_shape(encode, params, stats))
    except Exception:
        after = before
    paths = {owner[path] for step in made for path in step}
    nodes_bytes = sum(after.get(path, before.get(path, 0)) for path in paths)
    largest = max((sum(memory_bytes(s).values()) for path, s in stats.items() if path in paths), default=0)
    return max(peak(), in_use() + nodes_bytes + _COPIES * largest + _held(found, made, owner))


def _held(found: Survey, made: list[Step], owner: Mapping[str, str]) -> int:
    """The most bytes of activations at one cut."""
    most = 0
    counts = [found.kinds.count(kind) for kind in range(len(found.lines))]
    paths = [owner[path] for step in made for path in step]
    used = [used_by(traced, paths) for traced in found.lines]
    for step in made:
        total = 0
        for traced, count, equations in zip(found.lines, counts, used, strict=True):
            cut = cut_of(traced, [owner[path] for path in step], 0)
            total += count * held_at(traced.line, equations, cut)
        most = max(most, total)
    return most
