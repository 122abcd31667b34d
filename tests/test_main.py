"""The command line: what it prints, and one line with exit code 2 on bad input."""

import json
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import compressjax
from compressjax import artifact, coding
from compressjax.__main__ import main
from tests.coding.test_file import resealed


@pytest.fixture
def file(tmp_path):
    tree = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}

    def apply(v, x):
        return (x @ v["kernel"] + v["bias"][None]).astype(jnp.bfloat16)

    program = artifact.export(apply, tree, jnp.ones((4, 3)))
    path = tmp_path / "model.cjx"
    artifact.save(path, tree, metadata={"seed": 3}, program=program)
    return path


def bad(capsys, *arguments) -> str:
    assert main([str(a) for a in arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    return found.err


def test_inspect_prints_rows_that_add_up(file, capsys):
    assert main(["inspect", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["leaf", "nodes", "shape", "float32", "packed", "file", "codecs"]
    rows = [line.split() for line in lines[1 : lines.index(next(x for x in lines if x.startswith("total")))]]
    sizes = [int(row[1]) if row[0].startswith("(") else int(row[5]) for row in rows]
    assert sum(sizes) == file.stat().st_size
    assert "seed: 3" in lines


def test_inspect_prints_json(file, capsys):
    assert main(["inspect", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file_bytes"] == file.stat().st_size == sum(row["file_bytes"] for row in found["ledger"])
    assert found["metadata"]["seed"] == 3


def test_verify_says_intact(file, capsys):
    assert main(["verify", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: intact, 2 leaves decoded, {file.stat().st_size} bytes accounted for\n"


def test_run_writes_what_the_program_returns(file, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((7, 3), np.float32))
    assert main(["run", str(file), "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy")]) == 0
    assert np.load(tmp_path / "y.npy").tolist() == [[3, 3]] * 7
    assert main(["run", str(file), "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npz")]) == 0
    assert np.load(tmp_path / "y.npz")["arr_0"].shape == (7, 2)


def test_several_results_need_an_archive(tmp_path, capsys):
    tree = {"w": jnp.ones(2)}
    program = artifact.export(lambda v, x: (x, x + v["w"][None]), tree, jnp.ones((4, 2)))
    artifact.save(tmp_path / "m.cjx", tree, program=program)
    np.save(tmp_path / "x.npy", np.ones((1, 2), np.float32))
    arguments = ["run", tmp_path / "m.cjx", "--input", tmp_path / "x.npy", "--output"]
    assert "ends in .npz" in bad(capsys, *arguments, tmp_path / "y.npy")
    assert main([str(a) for a in (*arguments, tmp_path / "y.npz")]) == 0
    assert np.load(tmp_path / "y.npz")["arr_1"].tolist() == [[2, 2]]


def test_bad_input_is_one_line(file, tmp_path, capsys):
    assert "cannot be read: No such file" in bad(capsys, "inspect", tmp_path / "none.cjx")
    assert "cannot be read" in bad(capsys, "verify", tmp_path)
    (tmp_path / "odd").write_bytes(b"odd")
    assert "not a compressjax artifact" in bad(capsys, "verify", tmp_path / "odd")
    (tmp_path / "short.cjx").write_bytes(file.read_bytes()[:-1])
    assert "truncated" in bad(capsys, "verify", tmp_path / "short.cjx")
    np.save(tmp_path / "x.npy", np.ones((7, 4), np.float32))
    out = tmp_path / "y.npy"
    assert "do not fit the program" in bad(capsys, "run", file, "--input", tmp_path / "x.npy", "--output", out)
    np.save(tmp_path / "pickled.npy", np.array([None]), allow_pickle=True)
    assert "Python objects" in bad(capsys, "run", file, "--input", tmp_path / "pickled.npy", "--output", out)
    assert "No such file" in bad(capsys, "run", file, "--input", tmp_path / "none.npy", "--output", out)


def test_inputs_that_are_no_whole_array_are_one_line(file, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((7, 3), np.float32))
    whole = (tmp_path / "x.npy").read_bytes()
    np.savez(tmp_path / "many.npz", a=np.ones(3))
    (tmp_path / "bad").mkdir()
    huge = whole.replace(b"(7, 3)", b"(7000000000, 3)").replace(b" " * 10, b" ", 1)
    cases = {
        "empty": b"", "short": whole[:-1], "header": whole[:40], "huge": huge, "text": b"1 2 3",
        "odd": whole.replace(b"'<f4'", b"'<qq'"), "zip": (tmp_path / "many.npz").read_bytes()[:60],
        "many": (tmp_path / "many.npz").read_bytes(), "long": whole[:8] + b"\xff\xff" + b" " * 70000,
    }  # fmt: skip
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        error = bad(capsys, "run", file, "--input", tmp_path / name, "--output", tmp_path / "bad" / "y.npy")
        assert f"{name} cannot be read: " in error
        assert "give a .npy file" in error
    assert list((tmp_path / "bad").iterdir()) == []


def test_the_output_is_written_whole_or_not_at_all(file, tmp_path, capsys, monkeypatch):
    np.save(tmp_path / "x.npy", np.ones((7, 3), np.float32))
    (tmp_path / "y.npy").write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    arguments = ("run", file, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    assert "y.npy cannot be written: No space left on device" in bad(capsys, *arguments)
    assert (tmp_path / "y.npy").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.cjx", "x.npy", "y.npy"]


def test_paths_do_not_steer_the_terminal_or_fill_it(tmp_path, capsys):
    path = tmp_path / "m.cjx"
    names = {"\x1b[2J\x9b31m\u202ered": np.ones(2), "n" * 5000: np.ones(3)} | {f"w{i}": np.ones(1) for i in range(50)}
    coding.write(path, names, metadata={"\x1b]0;title\x07": "\x9b2J"})
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert r"\x1b[2J\x9b31m\u202ered" in out
    assert len(out) < 5000 + 60 * 200
    damaged = resealed(path.read_bytes(), lambda m, s: m["leaves"][0][1].__setitem__(2, [-1]))
    path.write_bytes(damaged)
    assert bad(capsys, "verify", path)[:-1].isprintable()


def test_verify_refuses_what_load_refuses(tmp_path, capsys):
    path = tmp_path / "m.cjx"
    for tree in ({"d": [["a", 1], ["a", 1]]}, {"d": [["a", 1]]}, {"d": [["b", 1], ["a", 1]]}, {"x": []}):
        coding.write(path, {"a": np.ones(2), "b": np.ones(2)}, metadata={"tree": tree})
        assert "m.cjx: " in bad(capsys, "verify", path)
        with pytest.raises(artifact.ArtifactError):
            artifact.verify(path)
    coding.write(path, {"a": {"node": "Fractal", "fields": {}}}, metadata={"tree": {"d": [["a", 1]]}})
    assert "unknown node type 'Fractal'" in bad(capsys, "verify", path)


def test_as_a_process_without_jax(file):
    program = "import sys, runpy; sys.modules['jax'] = None; sys.argv[0] = 'x'; runpy.run_module('compressjax', "
    program += "run_name='__main__')"
    root = pathlib.Path(compressjax.__file__).parents[1]
    for command, code in ((["verify", str(file)], 0), (["verify", "none"], 2), (["explode", "x"], 2)):
        found = subprocess.run(
            [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False, cwd=root
        )
        assert found.returncode == code, found.stderr
        assert "Traceback" not in found.stderr


TERMS = ("--errors", "3", "--examples", "60000", "--trained-on", "train")


def test_certify_prints_the_bound_with_what_it_assumes(file, capsys):
    assert main(["certify", str(file), *TERMS, "--measured-on", "train", "--iid", "--tried", "8"]) == 0
    text = capsys.readouterr().out
    bits = 8 * file.stat().st_size
    assert f"(code {bits}, end {2 * np.log2(bits):.1f}, choice 3)" in text
    assert text.count("assumes: ") == 4


def test_certify_names_what_has_no_theorem(file, capsys):
    assert "no bound holds" in bad(capsys, "certify", file, *TERMS, "--measured-on", "train")
    said = bad(capsys, "certify", file, *TERMS, "--measured-on", "test", "--iid")
    assert "trained on 'train' and its errors were counted on 'test'" in said
    assert "--errors=-1" in bad(capsys, "certify", file, *TERMS, "--errors=-1", "--measured-on", "train", "--iid")


def test_diff_prints_both_sizes_and_what_changed(file, tmp_path, capsys):
    other = tmp_path / "other.cjx"
    artifact.save(other, {"kernel": jnp.ones((3, 2)) * 2, "bias": jnp.zeros(2)})
    assert main(["diff", str(file), str(other)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["leaf", "nodes", "A", "B", "change", "values"]
    rows = {line[0]: line for line in lines}
    assert rows["kernel"][-6:] == ["off", "by", "1", "of", "the", "largest"]
    assert rows["bias"][-1] == "equal"
    assert rows["total"][1:3] == [str(file.stat().st_size), str(other.stat().st_size)]
    assert "1 leaves changed" in " ".join(rows["total"])
    assert "cannot be read" in bad(capsys, "diff", file, tmp_path / "absent.cjx")
