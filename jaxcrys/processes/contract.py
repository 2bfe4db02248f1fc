"""The contract of a process: what each of its four functions promises.

A process is a frozen dataclass of plain settings and a module with the functions ``corrupt``,
``loss``, ``prior`` and ``step`` below, and ``validate(process)``, which raises ``InputError``. All
are for one sample with an event of any shape: ``vmap`` over samples with one key each.

Time t is an integer 0 … T, traced or not; 0 is clean data. ``mask`` has the event's shape and says
which entries the process acts on: the others come out as they went in, and whatever finite number
stands there changes nothing else. Random numbers are drawn in the event's shape, so those of the
first entries do not depend on how many padded entries follow along the leading axis.
"""

from typing import Any, Protocol

import jax

from jaxcrys.core.typing import ArrayLike, Bool, Float, Key, Shaped
from jaxcrys.processes.schedules import Time


class Corrupt(Protocol):
    """Draw x_t from q(x_t | x_0).

    At t = 0 it gives ``x0`` itself (on the torus: wrapped), at t = T a draw from the prior up to
    the small rest that the process documents.

    Returns:
        continuous processes: x_t and the target that the network is to predict, which has zero
        mean, variance near 1, and is 0 where ``mask`` is False; discrete ones: x_t alone.
    """

    def __call__(  # noqa: D102
        self,
        process: Any,
        key: Key[jax.Array, ""],
        x0: Shaped[ArrayLike, "*event"],
        t: Time,
        mask: Bool[ArrayLike, "*event"],
        /,
    ) -> Any: ...


class Loss(Protocol):
    """Compare a prediction with the truth.

    Continuous processes take ``(process, prediction, target, mask)``, discrete ones
    ``(process, logits, x0, xt, t, mask)``.

    Returns:
        the sum of the cost over the entries that count, and their number, so that a recipe can
        average over a batch, or over devices, by adding both and dividing once.
    """

    def __call__(  # noqa: D102
        self, process: Any, prediction: Float[ArrayLike, "..."], /, *truth: Any
    ) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]: ...


class Prior(Protocol):
    """Draw x_T where ``mask`` is True; give ``fixed`` elsewhere."""

    def __call__(  # noqa: D102
        self,
        process: Any,
        key: Key[jax.Array, ""],
        mask: Bool[ArrayLike, "*event"],
        fixed: Shaped[ArrayLike, "*event"],
        /,
    ) -> Shaped[jax.Array, "*event"]: ...


class Step(Protocol):
    """Draw x_s from the network's p(x_s | x_t), for any times 0 <= s < t.

    ``prediction`` is what the network predicts at (x_t, t): the target of ``corrupt``, or logits of
    x_0 with one more axis. At s = 0 the result is the final sample.
    """

    def __call__(  # noqa: D102
        self,
        process: Any,
        key: Key[jax.Array, ""],
        xt: Shaped[ArrayLike, "*event"],
        t: Time,
        s: Time,
        prediction: Float[ArrayLike, "..."],
        mask: Bool[ArrayLike, "*event"],
        /,
    ) -> Shaped[jax.Array, "*event"]: ...
