"""Integer instructions by the list that Linux gives, and versions of the compiler."""

import pathlib

import pytest

from compressjax.numerics import _processor


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu avx2 avx512_vnni amx_int8", ("avx512_vnni", "amx_int8")),
        ("fpu avx2 avx_vnni_int16", ()),
        ("avx_vnni", ("avx_vnni",)),
    ],
)
def test_instructions(flags: str, found: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: {flags}\nvmx flags\t: avx_vnni\n")
    assert _processor.int8_instructions(str(path)) == found


def test_a_system_without_the_list_has_none(tmp_path: pathlib.Path) -> None:
    assert _processor.int8_instructions(str(tmp_path / "absent")) == ()
    (tmp_path / "arm").write_text("Features\t: asimddp i8mm\n")
    assert _processor.int8_instructions(str(tmp_path / "arm")) == ()


def test_versions_of_the_compiler() -> None:
    found = [_processor.compiles_int8(v) for v in ("0.9.2", "0.10.2", "0.11.0", "0.12.0.1", "0.13.0.dev1", "1.0")]
    assert found == [False, False, False, True, True, True]
