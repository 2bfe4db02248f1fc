"""Stopping when the machine is wanted back: SIGTERM asks, a step is finished, all is saved.

Schedulers and spot machines send SIGTERM some seconds before they end a process. One process stops
after the step under way. Of several, JAX's coordination service tells all of them when one has
been asked, and at which step they are to stop together.
"""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import jax


class Stopping:
    """Whether to stop.

    Attributes:
        asked: whether this process was asked; never where several train, which stop together.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: Any) -> None:
        """Stop after this step; a signal handler."""
        self.asked = True

    def after(self, step: int) -> bool:
        """Whether this step is the last; the same in every process."""
        if jax.process_count() == 1:
            return self.asked
        from jax.experimental import multihost_utils

        return multihost_utils.reached_preemption_sync_point(step)


@contextmanager
def stops_on_sigterm() -> Generator[Stopping]:
    """SIGTERM asks to stop within the block; outside the main thread nothing does.

    With several processes the coordination service has a handler of its own, which is left alone.

    Example:
        >>> import os
        >>> with stops_on_sigterm() as stopping:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     stopping.after(0)
        True
    """
    stopping = Stopping()
    if jax.process_count() > 1:
        yield stopping
        return
    try:
        before = signal.signal(signal.SIGTERM, stopping.ask)
    except ValueError:  # not the main thread
        yield stopping
        return
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)
