"""Small files, small functions."""

import statistics
from collections.abc import Sequence

from tests.style.source import Module, functions, modules, sample

FILE_MEDIAN, FILE_MOST = 160, 500
FUNCTION_P95, FUNCTION_MOST = 50, 100


def oversized(files: Sequence[Module]) -> list[str]:
    """Files and functions beyond the limits on lines, docstrings included."""
    found = []
    lengths = [len(module.text.splitlines()) for module in files]
    if statistics.median(lengths) > FILE_MEDIAN:
        found.append(f"the median file has {statistics.median(lengths)} lines; at most {FILE_MEDIAN}")
    for module, length in zip(files, lengths):
        if length > FILE_MOST:
            found.append(f"{module.path}: {length} lines; at most {FILE_MOST}, split it by idea")
    spans = []
    for module in files:
        for function in functions(module):
            span = (function.end_lineno or function.lineno) - function.lineno + 1
            spans.append(span)
            if span > FUNCTION_MOST:
                found.append(f"{module.path}:{function.lineno}: {function.name} has {span} lines; at most 100")
    if len(spans) >= 20 and (p95 := statistics.quantiles(spans, n=20)[-1]) > FUNCTION_P95:
        found.append(f"the 95th percentile of functions is {p95} lines; at most {FUNCTION_P95}")
    return found


def test_library_and_experiments_are_small():
    assert oversized(modules()) == []
    assert oversized(modules("experiments")) == []


def test_configs_and_tests_have_no_giant_file():
    files = [*modules("configs"), *modules("tests"), *modules("third_party")]
    assert [f"{m.path}" for m in files if len(m.text.splitlines()) > FILE_MOST] == []


def body(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


def test_each_limit_is_enforced():
    assert oversized([sample("compressjax/a.py", "x = 1\n" * 501)])
    assert oversized([sample("compressjax/a.py", "x = 1\n" * 161)])
    assert oversized([sample("compressjax/a.py", body(101))])
    assert oversized([sample(f"compressjax/a{i}.py", body(3 if i < 18 else 60)) for i in range(20)])


def test_the_limits_themselves_are_allowed():
    assert oversized([sample(f"compressjax/a{i}.py", body(50)) for i in range(20)]) == []
    assert oversized([sample("compressjax/a.py", "x = 1\n" * 160)]) == []
