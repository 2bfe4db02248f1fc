"""Progress with the time left, on a terminal; a line now and then elsewhere; or nothing."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

LINE_EVERY_SECONDS = 30.0


class Bar:
    """A task under way."""

    def __init__(self, update: Callable[[int, str], None]) -> None:
        self._update = update
        self._note = ""

    def note(self, text: str) -> None:
        """Show ``text`` beside the bar from the next step on."""
        self._note = text

    def advance(self, steps: int = 1) -> None:
        """Some steps are done."""
        self._update(steps, self._note)


class Progress:
    """Reports nothing; the base of those that do.

    Example:
        >>> with Progress().bar("work", total=2) as bar:
        ...     bar.advance()
    """

    def say(self, text: str) -> None:
        """Tell what is about to be done."""
        del text

    @contextmanager
    def bar(self, name: str, *, total: int, done: int = 0) -> Generator[Bar]:
        """A task of ``total`` steps of which ``done`` lie behind."""
        del name, total, done
        yield Bar(lambda steps, note: None)


class TerminalProgress(Progress):
    """A live bar on standard error if that is a terminal, else a line every half minute."""

    def say(self, text: str) -> None:
        """See :meth:`Progress.say`."""
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, name: str, *, total: int, done: int = 0) -> Generator[Bar]:
        """See :meth:`Progress.bar`."""
        show = self._live if sys.stderr.isatty() else self._lines
        with show(name, total, done) as bar:
            yield bar

    @contextmanager
    def _live(self, name: str, total: int, done: int) -> Generator[Bar]:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[note]}"),
        )
        with progress.Progress(*columns, console=Console(stderr=True)) as live:
            task = live.add_task(name, total=total, completed=done, note="")
            yield Bar(lambda steps, note: live.update(task, advance=steps, note=note))

    @contextmanager
    def _lines(self, name: str, total: int, done: int) -> Generator[Bar]:
        begin = last = time.monotonic()
        count = done

        def update(steps: int, note: str) -> None:
            nonlocal last, count
            count += steps
            now = time.monotonic()
            if now - last >= LINE_EVERY_SECONDS:
                last = now
                left = (now - begin) / max(count - done, 1) * (total - count)
                text = f"{name}: {count}/{total}, {left:.0f} s left {note}".rstrip()
                print(text, file=sys.stderr, flush=True)

        yield Bar(update)
