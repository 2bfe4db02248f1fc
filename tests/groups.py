"""A test of one space group, made one of all of them."""

import functools
import inspect
from collections.abc import Callable

GROUPS = range(1, 231)


def each_group(test: Callable[..., None]) -> Callable[..., None]:
    """Call a test with every space group, one after another; a failure names the groups it is of.

    One test rather than 230: a test runner takes longer to handle a test than most groups take.
    """
    signature = inspect.signature(test)
    own = [p for name, p in signature.parameters.items() if name != "group"]

    @functools.wraps(test)
    def every(**fixtures):
        failures = {}
        for group in GROUPS:
            try:
                test(group=group, **fixtures)
            except Exception as error:
                failures[group] = error
        if failures:
            first = next(iter(failures.values()))
            first.add_note(f"fails in {len(failures)} of 230 space groups: {[*failures]}")
            raise first

    every.__signature__ = signature.replace(parameters=own)
    return every
