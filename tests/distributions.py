"""Packages as pip would install them: modules, and the metadata that lists their entry points."""

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path,
    name: str,
    *,
    modules: Mapping[str, str],
    points: Mapping[str, Mapping[str, str]],
) -> None:
    """Write a distribution into a folder, which is to be put on ``sys.path``.

    Args:
        folder: where to install.
        name: of the distribution.
        modules: source by name.
        points: by group the entry points, names and values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
