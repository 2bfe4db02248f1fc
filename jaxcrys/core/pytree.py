"""The one way to declare a pytree: a frozen dataclass whose fields are leaves.

Fields made with :func:`static` are compile-time constants. Nothing is checked or converted at
construction, because transformations rebuild pytrees with tracers and placeholders inside.
"""

import dataclasses
import hashlib
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """Declare a field that is part of the tree's structure instead of a leaf."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def pytree(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass registered with JAX.

    Example:
        >>> import jax
        >>> @pytree
        ... class Pair:
        ...     left: float
        ...     right: float
        >>> jax.tree.map(lambda x: 2 * x, Pair(1.0, 2.0))
        Pair(left=2.0, right=4.0)
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)
    meta = [f.name for f in fields if f.metadata.get("static")]
    data = [f.name for f in fields if f.name not in meta]
    return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=meta)


def take(tree: T, index: Any) -> T:
    """Index the leading axis of every leaf: one element, a slice or a batch of elements.

    Example:
        >>> import numpy as np
        >>> take({"a": np.arange(3)}, 1)
        {'a': np.int64(1)}
    """
    return jax.tree.map(lambda leaf: leaf[index], tree)


def tree_hash(tree: Any) -> str:
    """SHA-256 over the names and values of all arrays of a tree.

    Example:
        >>> import numpy as np
        >>> tree_hash({"w": np.zeros(2)}) == tree_hash({"v": np.zeros(2)})
        False
    """
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree)):
        found.update(jax.tree_util.keystr(path).encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
