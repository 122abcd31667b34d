"""A log of every process of a run, as the console shows the first one only."""

import os
import socket
import time

import jax

from compressjax import recipe


class Log:
    """Lines about events in `logs/process-K.log`, appended by each life of the process.

    Args:
        workdir: Folder of the run.
    """

    def __init__(self, workdir: str) -> None:
        folder = os.path.join(workdir, "logs")
        os.makedirs(folder, exist_ok=True)
        self._place = os.path.join(folder, f"process-{jax.process_index()}.log")
        mine = ", ".join(str(device.id) for device in jax.local_devices())
        self._say(f"process {jax.process_index()} of {jax.process_count()} on {socket.gethostname()}, devices {mine}")

    def see(self, event: recipe.Event) -> None:
        """Appends a line about an event."""
        text = type(event).__name__.lower()
        if isinstance(event, recipe.Advanced):
            text += "".join(f" {name}={value:.6f}" for name, value in event.metrics.items())
        elif isinstance(event, recipe.Refused):
            text += f" {event.reason}"
        elif isinstance(event, recipe.Finished) and event.cached:
            text += " from the cache"
        at = f" step {event.step}" if hasattr(event, "step") else ""
        self._say(f"{event.stage.name}{at}: {text}")

    def _say(self, text: str) -> None:
        try:
            with open(self._place, "a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._place) from error
