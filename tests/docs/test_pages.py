"""Every page of the documentation runs: its Python blocks, in order, print what the text block below each one shows."""

import contextlib
import doctest
import io
import pathlib
import re

import pytest

from tests.style.source import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```$)?", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(page: pathlib.Path) -> list[str]:
    """Runs the blocks of a page in one namespace; what differs from the page, as text."""
    text, names, found = page.read_text(encoding="utf-8"), {"__name__": "page"}, []
    for block in BLOCK.finditer(text):
        out = io.StringIO()
        # Blank lines keep the numbers of a traceback those of the page.
        code = "\n" * text[: block.start("code")].count("\n") + block["code"]
        with contextlib.redirect_stdout(out):
            exec(compile(code, str(page), "exec"), names)
        expected = block["text"]
        if expected is not None and not doctest.OutputChecker().check_output(expected, out.getvalue(), FLAGS):
            found.append(f"{page.name} prints\n{out.getvalue()}\nand shows\n{expected}")
    return found


def opens_with_code(page: pathlib.Path) -> bool:
    """Whether a block of code stands before the first table or section."""
    body = page.read_text(encoding="utf-8").split("\n", 1)[1]
    return "```" in re.split(r"^(?:\||## )", body, maxsplit=1, flags=re.MULTILINE)[0]


# These train, for ten seconds and more.
SLOW = ("decomposition", "distillation", "extending", "lowrank", "quantized_training")


@pytest.mark.loose
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.thorough) if page.stem in SLOW else page for page in PAGES],
    ids=lambda page: page.stem,
)
def test_what_a_page_shows_is_what_it_prints(page: pathlib.Path, tmp_path: pathlib.Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_opens_with_code(page: pathlib.Path) -> None:
    assert opens_with_code(page)


def test_a_wrong_page_is_found(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text("# Title\n\n```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n\n| a |\n")
    assert "prints\n2" in run(page)[0]
    assert opens_with_code(page)
    page.write_text("# Title\n\n| a |\n\n```python\n```\n")
    assert not opens_with_code(page)
