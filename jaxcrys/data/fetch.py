"""Fetch a public dataset into a folder, each file checked, beside a note of where it came from."""

import json
import shlex
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from jaxcrys.core import plugins
from jaxcrys.core.download import MEGABYTE, download, has_checksum
from jaxcrys.core.errors import InputError
from jaxcrys.core.files import atomic_path, sha256, write_json
from jaxcrys.core.progress import Progress
from jaxcrys.data.public import DATASETS, PublicDataset, PublicFile

NOTE = "source.json"
MOST_UNPACKED = 8 * 2**30
"""Bytes of a member of an archive."""


class FetchedFile(NamedTuple):
    """A file that is there now, and what is known of it."""

    name: str
    url: str
    size: int
    sha256: str
    verdict: str


def fetch(
    name: str, folder: Path | str | None = None, *, progress: Progress | None = None
) -> list[FetchedFile]:
    """Fetch a dataset; what is there already is checked and left as it is.

    Beside the files lies ``source.json``: the address, size and SHA-256 of each, whether it was
    checked, the licence and what to cite.

    Args:
        name: one of :func:`dataset_names`.
        folder: where to put it; a folder of that name by default.
        progress: where to report progress.

    Raises:
        InputError: for an unknown name, or if the folder holds other files of these names.
        DownloadError: if a file cannot be fetched or is not what it must be.
    """
    dataset, folder = find(name), Path(name if folder is None else folder)
    progress = progress or Progress()
    noted = _noted(folder)
    found = []
    for file in dataset.files:
        known = noted.get(file.url, {}).get("sha256", "")
        found.append(_fetched(file, folder, known, progress))
        noted[file.url] = found[-1]._asdict()
        _note(name, dataset, folder, noted)
    if dataset.members:
        _unpack(folder / dataset.files[0].name, dataset, folder, progress)
    return found


def dataset_names() -> tuple[str, ...]:
    """Datasets that can be fetched: those of jaxcrys, then those of other packages.

    Example:
        >>> dataset_names()[:2]
        ('mp_20', 'mpts_52')
    """
    return tuple(dict.fromkeys((*DATASETS, *plugins.plugin_names(plugins.DATASETS))))


def find(name: str) -> PublicDataset:
    """A dataset by its name, of jaxcrys or of another installed package (``core.plugins``).

    Raises:
        InputError: if there is none, or another package's cannot be loaded.
    """
    if name in DATASETS:
        return DATASETS[name]
    if plugins.has_plugin(plugins.DATASETS, name):
        return plugins.load_plugin(plugins.DATASETS, name, PublicDataset)
    raise InputError("NAME", f"there is no {name!r}", f"known: {', '.join(dataset_names())}")


def next_commands(name: str, folder: Path) -> list[str]:
    """How to go on: a command for each file of crystals.

    Example:
        >>> next_commands("mp_20", Path("my data"))[0]
        "jaxcrys prepare 'my data/train.csv' --out 'my data/train'"
    """
    paths = [folder / table for table in find(name).tables]
    return [
        shlex.join(["jaxcrys", "prepare", str(p), "--out", str(p.with_suffix(""))]) for p in paths
    ]


def _fetched(file: PublicFile, folder: Path, noted: str, progress: Progress) -> FetchedFile:
    path = folder / file.name
    known = "" if file.certain else f"sha256:{noted}"  # a note does not vouch for what is certain
    if not (has_checksum(path, file.checksum) or (known and has_checksum(path, known))):
        _require_free(path)
        expected = file.checksum if file.certain else ""
        download(file.url, path, checksum=expected, size=file.size, progress=progress)
    digest = sha256(path)
    return FetchedFile(file.name, file.url, path.stat().st_size, digest, _verdict(file, digest))


def _verdict(file: PublicFile, digest: str) -> str:
    if file.certain:
        return f"is {file.checksum}, as it must be"
    reported = file.checksum.removeprefix("sha256:")
    if digest == reported:
        return f"not checked against its source; sha256:{digest} is what others report of a copy"
    return f"not checked: sha256:{digest} differs from {reported}, reported of a copy"


def _require_free(path: Path) -> None:
    if path.exists():
        raise InputError(
            str(path), "is there and is another file", "move it away, or choose another --out"
        )


def _noted(folder: Path) -> dict[str, dict[str, Any]]:
    """What is noted of the files that were fetched before, by address."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return {file["url"]: file for file in note["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _note(
    name: str, dataset: PublicDataset, folder: Path, noted: dict[str, dict[str, Any]]
) -> None:
    note = {
        "dataset": name,
        "about": dataset.about,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "files": list(noted.values()),
    }
    write_json(folder / NOTE, note)


def _unpack(path: Path, dataset: PublicDataset, folder: Path, progress: Progress) -> None:
    """Take the tables out of an archive: only those, under names of ours, each whole or not."""
    with zipfile.ZipFile(path) as archive:
        for table, member in dataset.members.items():
            try:
                info = archive.getinfo(member)
            except KeyError as error:
                raise InputError(
                    str(path), f"holds no {member}", "look at what it holds"
                ) from error
            if info.file_size > MOST_UNPACKED:
                raise InputError(str(path), f"{member} has {info.file_size} bytes unpacked")
            if not _is_unpacked(folder / table, info):
                _require_free(folder / table)
                _unpack_one(archive, info, folder / table, progress)


def _is_unpacked(path: Path, info: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.stat().st_size != info.file_size:
        return False
    found = 0
    with path.open("rb") as handle:
        while chunk := handle.read(MEGABYTE):
            found = zlib.crc32(chunk, found)
    return found == info.CRC


def _unpack_one(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, progress: Progress
) -> None:
    total = -(-info.file_size // MEGABYTE)
    with (
        progress.bar(f"unpacking {path.name}, MB", total=total) as bar,
        archive.open(info) as source,  # reads no more than it announces, and checks its CRC
        atomic_path(path) as partial,
        partial.open("wb") as target,
    ):
        while chunk := source.read(MEGABYTE):
            target.write(chunk)
            bar.advance()
