"""Checkpoints of a training run: orbax behind a few functions.

A checkpoint holds pytrees of arrays, and records as JSON, among them a hash of each tree. It is
written in the background, appears under its final name only when it is whole, and the newest ones
and the best one are kept. One process writes; any may read.
"""

import logging
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcrys.core.errors import InputError
from jaxcrys.core.pytree import tree_hash

KEEP_LATEST = 2
_SETTINGS = "settings"
_DIGESTS = "digests"
_DELETED = ".deleted"
_UNFINISHED = "*.orbax-checkpoint-tmp*"


class CheckpointStore:
    """The checkpoints in a folder, by step."""

    def __init__(self, folder: Path) -> None:
        import orbax.checkpoint as ocp

        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax reports every file it writes
        self._ocp = ocp
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writes = False
        here = jax.process_index()
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                best_fn=lambda metrics: metrics["loss"],
                best_mode="min",
                create=False,
                todelete_subdir=_DELETED,
                # Processes do not wait for each other here: one writes, and what it has written
                # the others read.
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=here, active_processes={here}, barrier_sync_key_prefix=str(here)
                ),
            ),
        )

    def save(
        self,
        step: int,
        items: dict[str, Any],
        settings: dict[str, Any],
        *,
        loss: float | None,
        records: dict[str, Any] | None = None,
    ) -> None:
        """Write in the background; what is written is copied first.

        Args:
            step: its number.
            items: named pytrees of arrays.
            settings: of the run.
            loss: the lowest makes the best checkpoint; None if it is not known.
            records: further values by name, as JSON.
        """
        args = self._ocp.args
        self._writes = True
        self.wait()
        # From the host: else each device writes its slice, and for each slice JAX compiles.
        trees = {name: jax.device_get(tree) for name, tree in items.items()}
        hashes = {name: tree_hash(tree) for name, tree in trees.items()}
        texts = {_SETTINGS: settings, _DIGESTS: hashes} | (records or {})
        everything = args.Composite(
            **{name: args.StandardSave(tree) for name, tree in trees.items()},
            **{name: args.JsonSave(text) for name, text in texts.items()},
        )
        metrics = None if loss is None else {"loss": loss}
        self._manager.save(step, args=everything, metrics=metrics, force=True)

    def wait(self) -> None:
        """Come back when what this process has saved is on the disk."""
        if self._writes:  # a reader that tidied would delete what another process is writing
            self._manager.wait_until_finished()
            self.tidy()

    def tidy(self) -> None:
        """Delete checkpoints that are not to be kept, and what killed runs left half-done.

        For the one process that saves: a reader that tidied would delete what is being written.
        """
        newest = sorted(self._manager.all_steps())
        for step in set(newest[:-KEEP_LATEST]) - {self.best()}:
            self._manager.delete(step)  # moved to _DELETED first, so that none is half there
        for rest in (self.folder / _DELETED, *self.folder.glob(_UNFINISHED)):
            shutil.rmtree(rest, ignore_errors=True)

    def reload(self) -> None:
        """See what another process has written."""
        self._manager.reload()

    def set_aside(self, step: int) -> Path:
        """Move a checkpoint out of the way, beside the others; returns where it lies now."""
        place = self.folder.with_name(f"{self.folder.name}.damaged") / str(step)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        shutil.move(self.folder / str(step), place)
        self.reload()
        return place

    def steps(self) -> list[int]:
        """All steps, in order."""
        return sorted(self._manager.all_steps())

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
        """Read one named pytree as NumPy arrays, into the structure and the types of ``like``.

        Raises:
            InputError: if there is no such checkpoint, it does not fit, or it is damaged.
        """
        steps = self.steps()
        if step not in steps:
            known = f"it has {', '.join(map(str, steps)) or 'none'}"
            raise InputError(str(self.folder), f"has no checkpoint of step {step}", known)
        args = self._ocp.args
        blank = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), like)
        where = str(self.folder / str(step))
        mend = "it is of other settings or damaged; delete it to fall back on an older one"
        try:
            wanted = args.Composite(**{name: args.StandardRestore(blank)})
            tree = self._manager.restore(step, args=wanted)[name]
            expected = self.read(step, _DIGESTS)[name]
        except (ValueError, KeyError, OSError) as error:
            raise InputError(where, f"cannot be restored ({error})", mend) from error
        if tree_hash(tree) != expected:
            raise InputError(where, f"holds other values of {name} than were saved", mend)
        return tree

    def read(self, step: int, name: str) -> Any:
        """A record inside a checkpoint."""
        args = self._ocp.args
        return self._manager.restore(step, args=args.Composite(**{name: args.JsonRestore()}))[name]

    def settings(self, step: int) -> dict[str, Any]:
        """The settings inside a checkpoint."""
        return self.read(step, _SETTINGS)

    def close(self) -> None:
        """Wait for what is being written, and release the folder."""
        self.wait()
        self._manager.close()


@contextmanager
def open_checkpoints(folder: Path | str) -> Generator[CheckpointStore]:
    """Open the checkpoints of a folder, which is made if need be.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> with open_checkpoints(tempfile.mkdtemp()) as store:
        ...     store.save(3, {"params": {"w": jnp.ones(2)}}, {"seed": 0}, loss=0.5)
        ...     store.wait()
        ...     store.latest(), store.best(), store.settings(3)
        (3, 3, {'seed': 0})
    """
    store = CheckpointStore(Path(folder))
    try:
        yield store
    finally:
        store.close()
