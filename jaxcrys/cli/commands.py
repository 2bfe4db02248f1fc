"""What can be asked of ``jaxcrys``; each is the module of this name."""

COMMANDS = {
    "generate": "draw new crystals, from a model of yours or the one that comes with jaxcrys",
    "predict": "propose the structures of a formula",
    "relax": "relax crystals with a potential, their symmetry kept",
    "view": "make a page of crystals, to look through them in a browser",
    "export": "write crystals in the formats of others: ASE, pymatgen, OPTIMADE, CSV, ...",
    "evaluate": "score a set of crystals, whoever generated it",
    "hull": "make a convex hull, to judge energies by",
    "data": "list public datasets, and fetch them",
    "prepare": "read crystals from files into a dataset",
    "train": "train a recipe on a dataset, or go on with a run",
    "fit": "learn to estimate columns of a dataset, with uncertainty",
    "estimate": "estimate numbers of crystals, and keep those that have what is wanted",
    "join": "make one run of a run of templates and one of geometry",
    "release": "write a trained model into one small file",
    "demo": "prepare, train, generate: the whole road in three minutes",
    "completion": "write completion for your shell",
}
