"""Files with valid checksums that a malicious writer made: a seeded part of the campaign."""

import random

from compressjax import artifact
from experiments import mutate


def test_damaged_files_are_refused_or_harmless_in_bounded_memory():
    found = mutate.campaign(seed=1, count=40, max_bytes=2_000_000)
    assert found["read"] + found["refused"] == 40
    assert found["refused"] > 20
    assert found["bytes"] < 2 * 2_000_000 + mutate.SLACK
    assert found["seconds"] < mutate.SECONDS


def test_every_mutation_is_signed_again(tmp_path):
    path = tmp_path / "m.cjx"
    artifact.save(path, mutate.tree(0))
    data, draw, reasons = path.read_bytes(), random.Random(0), []
    assert artifact.load(path).manifest.format >= 2  # digests of sections came with it
    for _ in range(20):
        path.write_bytes(mutate.mutated(data, draw))
        try:
            artifact.load(path)
        except artifact.ArtifactError as error:
            reasons.append(str(error))
    assert len(reasons) > 10
    assert not any("SHA-256" in reason for reason in reasons)


def test_a_change_that_nests_too_deep_is_drawn_again(tmp_path, monkeypatch):
    path, calls = tmp_path / "m.cjx", []

    def deep(manifest, sections, draw):
        calls.append(draw)
        if len(calls) == 1:
            raise RecursionError

    for name in ("_manifest", "_shape", "_array", "_payload", "_swap", "_grow"):
        monkeypatch.setattr(mutate, name, deep)
    artifact.save(path, {"w": [1.0]})
    path.write_bytes(mutate.mutated(path.read_bytes(), random.Random(0)))
    assert artifact.load(path).tree == {"w": [1.0]}
    assert len(calls) > 1
