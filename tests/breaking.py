"""Progress that breaks off a task, as an impatient user does."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from jaxcrys.core.progress import Bar, Progress


def interrupt() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


class BreaksAt(Progress):
    """Calls ``act``, by default an interrupt, when so many steps of a task are done."""

    def __init__(self, name: str, step: int, act: Callable[[], None] = interrupt) -> None:
        self._name, self._step, self._act = name, step, act

    @contextmanager
    def bar(self, name: str, *, total: int, done: int = 0) -> Generator[Bar]:
        """Count the steps."""
        del total
        count = done

        def update(steps: int, note: str) -> None:
            nonlocal count
            del note
            count += steps
            if name == self._name and count == self._step:
                self._act()

        yield Bar(update)
