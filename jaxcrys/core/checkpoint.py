"""Checkpoints of a training run: orbax behind five functions.

A checkpoint holds a pytree of arrays and the run's settings as JSON. It appears under its final
name only when it is whole, and the newest ones and the best one are kept.
"""

import logging
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxcrys.core.errors import InputError

KEEP_LATEST = 2
_SETTINGS = "settings"
_DELETED = ".deleted"
_UNFINISHED = "*.orbax-checkpoint-tmp*"


class CheckpointStore:
    """The checkpoints in a folder, by step."""

    def __init__(self, folder: Path) -> None:
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax reports every file it writes
        self._ocp = ocp
        self.folder = folder.absolute()
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                best_fn=lambda metrics: metrics["loss"],
                best_mode="min",
                todelete_subdir=_DELETED,
                enable_async_checkpointing=False,
            ),
        )

    def save(
        self, step: int, items: dict[str, Any], settings: dict[str, Any], *, loss: float
    ) -> None:
        """Write named pytrees and the settings; the lowest ``loss`` makes the best checkpoint."""
        args = self._ocp.args
        # From the host: else each device writes its slice, and for each slice JAX compiles.
        trees = {name: args.StandardSave(jax.device_get(tree)) for name, tree in items.items()}
        everything = args.Composite(**trees, **{_SETTINGS: args.JsonSave(settings)})
        self._manager.save(step, args=everything, metrics={"loss": loss}, force=True)
        self._manager.wait_until_finished()
        self.tidy()

    def tidy(self) -> None:
        """Delete checkpoints that are not to be kept, and what killed runs left half-done.

        For the one process that saves: a reader that tidied would delete what is being written.
        """
        newest = sorted(self._manager.all_steps())
        for step in set(newest[:-KEEP_LATEST]) - {self.best()}:
            self._manager.delete(step)  # moved to _DELETED first, so that none is half there
        if jax.process_index() == 0:
            for rest in (self.folder / _DELETED, *self.folder.glob(_UNFINISHED)):
                shutil.rmtree(rest, ignore_errors=True)

    def latest(self) -> int | None:
        """The newest step, or None."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """The step of the lowest validation loss, or None."""
        return self._manager.best_step()

    def loss(self, step: int) -> float:
        """The loss that a checkpoint was saved with."""
        metrics = self._manager.metrics(step)
        if metrics is None:
            raise InputError(str(self.folder / str(step)), "has no metrics", "it is damaged")
        return float(metrics["loss"])

    def restore(self, step: int, name: str, like: Any) -> Any:
        """Read one named pytree into the structure, types and devices of ``like``.

        Raises:
            InputError: if there is no such checkpoint, or it does not fit.
        """
        steps = sorted(self._manager.all_steps())
        if step not in steps:
            known = f"it has {', '.join(map(str, steps)) or 'none'}"
            raise InputError(str(self.folder), f"has no checkpoint of step {step}", known)
        args = self._ocp.args
        abstract = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, like)
        try:
            wanted = args.Composite(**{name: args.StandardRestore(abstract)})
            return self._manager.restore(step, args=wanted)[name]
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise InputError(
                str(self.folder / str(step)),
                f"cannot be restored ({error})",
                "it was written with other settings or is damaged; delete it to fall back on an "
                "older one",
            ) from error

    def settings(self, step: int) -> dict[str, Any]:
        """The settings inside a checkpoint."""
        args = self._ocp.args
        return self._manager.restore(step, args=args.Composite(**{_SETTINGS: args.JsonRestore()}))[
            _SETTINGS
        ]

    def close(self) -> None:
        """Release the folder."""
        self._manager.close()


@contextmanager
def open_checkpoints(folder: Path | str) -> Generator[CheckpointStore]:
    """Open the checkpoints of a folder, which is made if need be.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> with open_checkpoints(tempfile.mkdtemp()) as store:
        ...     store.save(3, {"params": {"w": jnp.ones(2)}}, {"seed": 0}, loss=0.5)
        ...     store.latest(), store.best(), store.settings(3)
        (3, 3, {'seed': 0})
    """
    store = CheckpointStore(Path(folder))
    try:
        yield store
    finally:
        store.close()
