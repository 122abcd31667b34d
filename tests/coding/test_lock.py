"""A lock ends with its owner."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from compressjax.coding._lock import Lock

# Without an import of the package, which takes seconds.
OWNER = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, b"process 1 on a-host")
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_owner_gives_it_back(tmp_path):
    lock = Lock(tmp_path / "new" / ".lock")
    (tmp_path / "new").mkdir()
    with subprocess.Popen([sys.executable, "-c", OWNER, tmp_path / "new" / ".lock"], stdout=subprocess.PIPE) as owner:
        owner.stdout.readline()
        assert not lock.acquire()
        assert lock.owner() == "process 1 on a-host"
        owner.send_signal(signal.SIGKILL)
    assert lock.acquire()
    assert lock.owner().startswith(f"process {os.getpid()} on ")
    lock.release()


def test_it_is_held_once_even_inside_one_process(tmp_path):
    one, two = Lock(tmp_path / ".lock"), Lock(tmp_path / ".lock")
    assert one.acquire()
    assert one.acquire()
    assert not two.acquire()
    one.release()
    assert two.acquire()
    two.release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_grants_all(tmp_path, monkeypatch, code):
    def fail(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("compressjax.coding._lock.fcntl.flock", fail)
    assert Lock(tmp_path / ".lock").acquire()
    assert Lock(tmp_path / ".lock").acquire()


def test_a_folder_that_cannot_be_written_grants_all(tmp_path):
    (tmp_path / "file").write_text("")
    assert Lock(tmp_path / "file" / ".lock").acquire()
    assert Lock(tmp_path / "file" / ".lock").owner() == "another run"
