"""Errors that say what is wrong, where, and how to mend it."""


class InputError(ValueError):
    """Input that cannot be used.

    Args:
        where: the argument, file or row at fault.
        problem: what was expected and what came instead.
        mend: what the user can do about it.

    Example:
        >>> str(InputError("--num", "must be positive, got -3", "pass a number of crystals"))
        '--num: must be positive, got -3; pass a number of crystals'
    """

    def __init__(self, where: str, problem: str, mend: str = "") -> None:
        self.where, self.problem, self.mend = where, problem, mend
        super().__init__(f"{where}: {problem}" + (f"; {mend}" if mend else ""))

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Survive the trip back from a worker process."""
        return type(self), (self.where, self.problem, self.mend)
