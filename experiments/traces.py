"""Profiler traces on request: one chunk of steps of every training stage."""

import os

import jax

from compressjax import recipe


class Tracer:
    """Traces the second chunk of every stage, as the first one compiles; the first one if there is no other.

    Args:
        folder: Where the traces go, by process and stage; none are taken if empty.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._open, self._done = folder, False, False

    def see(self, event: recipe.Event) -> None:
        """Starts or ends a trace after an event, which ends a chunk or a stage."""
        if not self._folder:
            return
        if self._open:
            self.close()
        if isinstance(event, recipe.Began):
            self._done = False
            left = len(event.stage.chunks(event.step))
            if left == 1:
                self._start(event.stage.name)
        elif isinstance(event, recipe.Advanced) and not self._done and event.step < event.stage.steps:
            self._start(event.stage.name)

    def close(self) -> None:
        """Ends the trace that is open, if there is one."""
        if self._open:
            self._open = False
            jax.profiler.stop_trace()

    def _start(self, stage: str) -> None:
        self._open = self._done = True
        jax.profiler.start_trace(os.path.join(self._folder, f"process-{jax.process_index()}", stage))
