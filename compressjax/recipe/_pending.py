"""A checkpoint under way: Orbax copies its arrays and writes them in a thread of its own, while training goes on."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

ARRAYS = "arrays"
META = "meta.json"  # the last file of a checkpoint
_WRITTEN = (errno.ENOTEMPTY, errno.EEXIST)  # of a rename, although the other run may have removed it since
_BLOCK = 4096  # of the disk; an array is two files


class Pending:
    """A checkpoint that is being written into a draft; the last step, `commit`, turns the draft into the checkpoint.

    Args:
        place: Folder of the checkpoint.
        draft: Folder to write; None if the checkpoint stands already.
        arrays: What Orbax writes, by name.
        commit: Called in a thread once the arrays are on disk.
    """

    def __init__(
        self,
        place: Path,
        draft: Path | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._place, self._draft = place, draft
        self._end: Future[None] | None = None
        if draft is None:
            return
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _check_free(place.parent, arrays or {})
            if not arrays:
                commit()
                return
            writer = ocp.AsyncCheckpointer(_handler(), multiprocessing_options=_alone())
            writer.save(os.path.abspath(draft / ARRAYS), dict(arrays))
            thread = ThreadPoolExecutor(1)
            self._end = thread.submit(_finish, writer, commit)
            thread.shutdown(wait=False)
        except (OSError, ValueError) as error:
            self._fail(error, begun=False)

    def wait(self) -> None:
        """Returns once the checkpoint stands.

        Raises:
            OSError: If it cannot be written; `filename` is its folder.
        """
        end, self._end = self._end, None
        try:
            if end is not None:
                end.result()
        except (OSError, ValueError) as error:
            self._fail(error)
        finally:
            if self._draft is not None:
                shutil.rmtree(self._draft, ignore_errors=True)

    def _fail(self, error: OSError | ValueError, begun: bool = True) -> None:
        """Raises the error with the checkpoint's folder, unless another run has written it meanwhile."""
        if self._draft is not None:
            shutil.rmtree(self._draft, ignore_errors=True)
        if isinstance(error, ValueError):
            # So does the library below Orbax report a full disk.
            code = re.search(r"os_error_code='(\d+)'", str(error))
            if code is None:
                raise error
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(self._place)) from error
        written = (begun and error.errno in _WRITTEN) or (self._place / META).exists()
        if not written:
            raise OSError(error.errno, error.strerror or str(error), str(self._place)) from error


def read(place: Path) -> dict[str, Any]:
    """The arrays of a checkpoint by name."""
    return ocp.Checkpointer(_handler(), multiprocessing_options=_alone()).restore(os.path.abspath(place))


def _finish(writer: ocp.AsyncCheckpointer, commit: Callable[[], None]) -> None:
    try:
        writer.wait_until_finished()
    finally:
        writer.close()  # it may still write files of its own
    commit()


def _handler() -> ocp.PyTreeCheckpointHandler:
    return ocp.PyTreeCheckpointHandler(use_ocdbt=False, multiprocessing_options=_alone())


def _alone() -> ocp.options.MultiprocessingOptions:
    """Of several processes, one writes or reads, and Orbax must not wait for the others."""
    mine = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=mine, active_processes={mine}, barrier_sync_key_prefix=f"process-{mine}"
    )


def _check_free(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises `OSError` before Orbax starts its threads, as each of them would print what is said once."""
    needed = sum(array.nbytes + 2 * _BLOCK for array in arrays.values())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
