"""The frame: any altered, missing or added byte is refused; writing is all or nothing."""

import hashlib
import struct

import numpy as np
import pytest

from compressjax.coding import FORMAT, ArtifactError, loads
from compressjax.coding._frame import MAGIC, build, parse

LEAF = ["w", ["raw", "float32", [20], 80], None]
DATA = build(
    {"metadata": {"seed": 1}, "leaves": [LEAF], "extras": [["program", 50]]},
    [np.arange(20, dtype="<f4").tobytes(), bytes(50)],
)


def refused(data: bytes) -> str:
    with pytest.raises(ArtifactError) as caught:
        loads(data, name="model.cjx")
    return str(caught.value)


def test_the_intact_file_is_read():
    assert loads(DATA).leaves["w"].tolist() == list(range(20))
    assert loads(DATA).extras == {"program": bytes(50)}


def test_any_flipped_byte_is_refused():
    rng = np.random.default_rng(0)
    flips = [(at, 1 << bit) for at in range(len(DATA)) for bit in range(8)]
    flips += [(int(at), int(value)) for at, value in zip(rng.integers(0, len(DATA), 500), rng.integers(1, 256, 500))]
    assert len(flips) > 2000
    for at, change in flips:
        assert "model.cjx" in refused(DATA[:at] + bytes([DATA[at] ^ change]) + DATA[at + 1 :])


def test_any_truncation_or_extension_is_refused():
    for length in range(len(DATA)):
        assert "model.cjx" in refused(DATA[:length])
    for tail in (b"\0", b"\n", DATA, DATA[:32]):
        assert "extended" in refused(DATA + tail)


def test_damage_names_the_section():
    assert "its manifest does not match" in refused(DATA[:135] + b"\xff" + DATA[136:])
    assert "section 1 of 2" in refused(DATA[: -32 - 60] + b"\x77" + DATA[-32 - 59 :])
    assert "section 2 of 2" in refused(DATA[:-40] + b"\x77" + DATA[-39:])
    assert "does not match its SHA-256" in refused(DATA[:-1] + bytes([DATA[-1] ^ 1]))


def test_another_version_is_named_with_the_remedy():
    body = MAGIC + struct.pack("<H", 7) + DATA[10:-32]
    message = refused(body + hashlib.sha256(body).digest())
    assert "format version 7" in message
    assert f"reads version {FORMAT}" in message
    assert "install the compressjax that wrote it" in message


def test_text_mode_transfers_and_other_files_are_told_apart():
    assert "not a compressjax artifact" in refused(DATA.replace(b"\r\n", b"\n"))
    assert "not a compressjax artifact" in refused(b"")
    assert "truncated" in refused(DATA[:20])


@pytest.mark.parametrize("field", range(3))
def test_absurd_header_sizes_are_refused(field):
    sizes = list(struct.unpack_from("<III", DATA, 12))
    sizes[field] = 2**32 - 1
    body = DATA[:12] + struct.pack("<III", *sizes) + DATA[24:-32]
    assert "damaged" in refused(body + hashlib.sha256(body).digest())


def test_sections_that_do_not_add_up_are_refused():
    parse(build({"leaves": []}, [b"abc"]), "x")
    plain = build({"leaves": []}, [b"abc"])
    moved = plain[:-35] + plain[-32:]  # drop the section
    header = moved[:24] + struct.pack("<Q", len(moved)) + moved[32:-32]
    assert "do not add up" in refused(header + hashlib.sha256(header).digest())
