"""Meshes by their text, and what does not fit the devices."""

import pytest

from experiments import meshes


@pytest.mark.parametrize("text", ["data", "data:0", "data:x", "data:2,data:2", "rows:4", "data:4;model:2", "data:-1"])
def test_what_is_no_mesh_is_refused(text):
    with pytest.raises(ValueError, match=f"--mesh={text}: .* is not an axis and its size"):
        meshes.parse(text)


def test_batches_need_an_axis():
    with pytest.raises(ValueError, match="--mesh=model:4 has no axis data; write data:1,model:4"):
        meshes.parse("model:4")


def test_axes_multiply_to_the_devices():
    with pytest.raises(ValueError, match=r"--mesh=data:4,model:2 has 4 x 2 = 8 devices, but there are 4; .*=8$"):
        meshes.make_mesh(4, "data:4,model:2")
    assert dict(meshes.make_mesh(4, "model:2,data:2").shape) == {"model": 2, "data": 2}
    assert dict(meshes.make_mesh(2).shape) == {"data": 2}


def test_more_devices_than_there_are():
    with pytest.raises(ValueError, match="--devices=99, but there are 4"):
        meshes.make_mesh(99)
