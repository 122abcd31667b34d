"""Sequential calibration: every layer is compressed from the inputs that the compressed layers before it make."""

from compressjax.calibration._calibrate import calibrate
from compressjax.calibration._progress import Progress

__all__ = ["Progress", "calibrate"]
