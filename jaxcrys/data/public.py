"""Public datasets: where they are, what their files must be, whose they are.

Addresses name a commit, so the files behind them do not change, and each file has a checksum. Those
of CDVAE's files are git's own names of their content at that commit. Alex-MP-20 is kept outside of
git, where its checksum alone says which version it is.
"""

from collections.abc import Mapping
from typing import NamedTuple

_CDVAE = "https://raw.githubusercontent.com/txie-93/cdvae/f857f598d6f6cca5dc1ea0582d228f12dcc2c2ea"
_DIFFCSP = (
    "https://raw.githubusercontent.com/jiaor17/DiffCSP/fd6f48cef306193c0fb678db785424abcdad6dfd"
)
_MATTERGEN = "https://media.githubusercontent.com/media/microsoft/mattergen/main"


class PublicFile(NamedTuple):
    """A file of a dataset.

    Attributes:
        name: in the dataset's folder.
        url: where it is.
        checksum: what it must have, ``git-blob:…`` or ``sha256:…``.
        size: bytes, where they are known.
        certain: whether that is the checksum of the file at this address; if not, it is what others
            report of a copy, and a difference is told and not refused.
    """

    name: str
    url: str
    checksum: str
    size: int | None = None
    certain: bool = True


class PublicDataset(NamedTuple):
    """A dataset that anybody may fetch.

    Attributes:
        about: what is in it.
        crystals: how many.
        licence: of the data, and of the repository that they come from.
        citation: works to cite.
        files: all its files.
        tables: files with crystals, each a file of its own or a member of the archive.
        members: names of these tables in the archive, if there is one.
    """

    about: str
    crystals: int
    licence: str
    citation: tuple[str, ...]
    files: tuple[PublicFile, ...]
    tables: tuple[str, ...] = ("train.csv", "val.csv", "test.csv")
    members: Mapping[str, str] = {}


def _files(folder: str, **found: tuple[str, int | None]) -> tuple[PublicFile, ...]:
    """Splits of a dataset of CDVAE's repository, each with git's name of it and its bytes."""
    return tuple(
        PublicFile(f"{split}.csv", f"{_CDVAE}/data/{folder}/{split}.csv", f"git-blob:{blob}", size)
        for split, (blob, size) in found.items()
    )


def _copied(folder: str, **found: str) -> tuple[PublicFile, ...]:
    """Splits of a dataset of DiffCSP's repository, each with the SHA-256 reported of a copy."""
    return tuple(
        PublicFile(
            f"{split}.csv",
            f"{_DIFFCSP}/data/{folder}/{split}.csv",
            f"sha256:{digest}",
            certain=False,
        )
        for split, digest in found.items()
    )


_XIE = "Xie et al., Crystal Diffusion Variational Autoencoder, ICLR 2022, arXiv:2110.06197"
_JAIN = "Jain et al., The Materials Project, APL Materials 1, 011002 (2013)"

DATASETS = {
    "mp_20": PublicDataset(
        about="Materials Project, at most 20 atoms, within 0.08 eV/atom of the hull",
        crystals=45_229,
        licence="CC-BY-4.0 (Materials Project), MIT (CDVAE)",
        citation=(_JAIN, _XIE),
        files=_files(
            "mp_20",
            train=("b1c9d498565ac2fd8d075a51ff2ef5e51ba6c21f", 34_975_028),
            val=("7efe4d7ebeb4f460ceaad35e5326c42111d9c9a1", 11_617_279),
            test=("5dc643041df53f5ce4970a79930ad262b4f07acd", 11_599_133),
        ),
    ),
    "mpts_52": PublicDataset(
        about="Materials Project by year of publication, at most 52 atoms",
        crystals=40_476,
        licence="CC-BY-4.0 (Materials Project), MIT (DiffCSP)",
        citation=(
            _JAIN,
            "Baird et al., mp-time-split, github.com/sparks-baird/mp-time-split",
            "Jiao et al., Crystal Structure Prediction by Joint Equivariant Diffusion, NeurIPS"
            " 2023, arXiv:2309.04475",
        ),
        # Of CrystaLLM's copy, which is said to be of this commit; its copies of MP-20 are exact.
        files=_copied(
            "mpts_52",
            train="db33cfc86530bbd4b020405989c5cd12130f447ad7b9258d29b3ff9c8a26d764",
            val="b5d9f7a8ff72f3a1f24d6bb97e11ad201be40d10be7b27924234da06af04baba",
            test="4d6e76c4726fb12fb2a7e5bb23594f9b82dbd9bf67b7bfd4866e9c74a8f49038",
        ),
    ),
    "perov_5": PublicDataset(
        about="hypothetical perovskites of 5 atoms, all of one prototype, many unstable",
        crystals=18_928,
        licence="MIT (CDVAE)",
        citation=(
            "Castelli et al., Energy Environ. Sci. 5, 5814 (2012)",
            "Castelli et al., Energy Environ. Sci. 5, 9034 (2012)",
            _XIE,
        ),
        files=_files(
            "perov_5",
            train=("0769074b5d51d293b765c4371b8f55c468c9c9f2", 11_017_473),
            val=("4a2c8dde98347dd0e01fa83dcf3982c2abe98f9f", 3_673_814),
            test=("d3c5d5af4b27a2a139149f2bb73c8a3dba9d8ac1", 3_671_842),
        ),
    ),
    "carbon_24": PublicDataset(
        about="carbon of 6 to 24 atoms at 10 GPa, from random structure searching",
        crystals=10_153,
        licence="MIT (CDVAE)",
        citation=(
            "Pickard, AIRSS data for carbon at 10GPa, Materials Cloud 2020.0026/v1,"
            " doi:10.24435/materialscloud:2020.0026/v1",
            _XIE,
        ),
        files=_files(
            "carbon_24",
            train=("5e7ae970fbad8ddc46b6963e8cd6e425f11783a6", 6_969_022),
            val=("b3e29b927883642426ca1d9632d00359b412742b", 2_321_923),
            test=("9beca843fde489de1fe288b32f9e3ff710d42803", 2_319_350),
        ),
    ),
    "alex_mp_20": PublicDataset(
        about="Alexandria and MP-20, at most 20 atoms, within 0.1 eV/atom of the hull",
        crystals=607_683,
        licence="CC-BY-4.0 (Alexandria, Materials Project), MIT (MatterGen)",
        citation=(
            "Schmidt et al., Materials Cloud 2022.126, doi:10.24435/materialscloud:m7-50",
            _JAIN,
            "Zeni et al., A generative model for inorganic materials design, Nature 2025,"
            " doi:10.1038/s41586-025-08628-5",
        ),
        files=(
            PublicFile(
                "alex_mp_20.zip",
                f"{_MATTERGEN}/data-release/alex-mp/alex_mp_20.zip",
                "sha256:6688e652e45fac4ac8b016dbc4a3280afde9ba687bdacfd8c676775ed19b6228",
                186_506_244,
            ),
        ),
        tables=("train.csv", "val.csv"),
        members={"train.csv": "alex_mp_20/train.csv", "val.csv": "alex_mp_20/val.csv"},
    ),
}
"""By name."""
