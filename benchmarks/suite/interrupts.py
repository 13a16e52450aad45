"""How soon Ctrl-C is heard in the middle of a call, whose parts take some 0.05 s each."""

from __future__ import annotations

import signal
import statistics
import time
from types import FrameType

import numpy as np

from suite import needs


class Interrupt:
    """A convolution that takes seconds; a timer's signal goes the way that Ctrl-C goes."""

    version = "1"
    timeout = 120

    def setup(self) -> None:
        self.fastconv = needs("conv2d", "prepare_conv2d")
        self.x = np.ones((16, 128, 56, 56), np.float32)
        self.weight = self.fastconv.prepare_conv2d(np.ones((512, 128, 9, 9), np.float32))

    def track_seconds_until_heard(self) -> float:
        """Measure the time from the signal to the handler; keep the median of three."""
        return statistics.median(self.interrupted() for _ in range(3))

    track_seconds_until_heard.unit = "s"  # type: ignore[attr-defined]

    def interrupted(self, after: float = 0.3) -> float:
        """Return the seconds between the signal, `after` seconds into the call, and its handler."""

        def stop(number: int, frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, stop)
        try:
            due = time.perf_counter() + after
            signal.setitimer(signal.ITIMER_REAL, after)
            self.fastconv.conv2d(self.x, self.weight, padding=4, algorithm="direct")
        except KeyboardInterrupt:
            return time.perf_counter() - due
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        raise RuntimeError("the call is too short to be interrupted")
