"""Feed hostile files to every reader, and look for what it reads wrongly.

    python -m benchmarks.fuzz --minutes 10 [--seed 0] [--out FOLDER] [READER...]

Inputs and checks are those of ``tests/fuzz``. Each reader is run for so many minutes in turn.
Printed are the inputs, the records accepted, those of them that no other library reads, those
rejected, and the findings; the first ones from each place in the code are kept as files in FOLDER,
and so is the input under way, should it crash the process.
"""

import argparse
import hashlib
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, Verdict

ROUND = 200
"""Inputs between two looks at the clock."""

KEPT = 30
"""Findings from one place in the code."""


def run(name: str, *, minutes: float, start: int, out: Path) -> None:
    target = TARGETS[name]()
    inputs, total, found, begin, number = 0, Verdict(), {}, time.monotonic(), start

    def check(content: bytes) -> None:
        nonlocal inputs, total
        if time.monotonic() - begin > 60 * minutes:
            return
        (out / f"{name}.under_way").write_bytes(content)
        inputs += 1
        try:
            total = Verdict(*map(sum, zip(total, target.check(content), strict=True)))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno} {type(error).__name__}"
            if found.get(place, 0) < KEPT:
                digest = hashlib.sha256(content).hexdigest()[:8]
                (out / f"{name}.{digest}").write_bytes(content)
                print(f"  {name}.{digest}: {place}: {str(error)[:300]}", flush=True)
            found[place] = found.get(place, 0) + 1

    while time.monotonic() - begin < 60 * minutes:
        limits = settings(
            max_examples=ROUND, deadline=None, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        seed(number)(limits(given(target.inputs)(check)))()
        number += 1
    (out / f"{name}.under_way").unlink(missing_ok=True)
    print(
        f"{name}: {inputs} inputs; records: {total.accepted} accepted ({total.unread} that nobody"
        f" else reads), {total.rejected} rejected; findings: {sum(found.values())} {found or ''}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz"))
    given_ = parser.parse_args()
    unknown = set(given_.readers) - set(TARGETS)
    if unknown:
        parser.error(f"no such reader: {', '.join(sorted(unknown))}; known: {', '.join(TARGETS)}")
    given_.out.mkdir(parents=True, exist_ok=True)
    for name in given_.readers or TARGETS:
        run(name, minutes=given_.minutes, start=given_.seed, out=given_.out)


if __name__ == "__main__":
    main()
