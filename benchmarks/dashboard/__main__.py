"""Draw the chart's dashboard, with what a Prometheus knows:

python -m benchmarks.dashboard PICTURE                    a rehearsal: real servers and a real
                                                          operator, for ten minutes; Go is needed
                                                          once
                               PICTURE --prometheus URL   yours, the last hour of it
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..errors import NotMeasurable
from ..operators.cluster import running_cluster
from .drawing import draw
from .panels import Panel, panels
from .prometheus import Prometheus, Series
from .rehearsal import NAMESPACE, rehearsed

SCRAPE_SECONDS: Final = 5.0
# Points of a line.
POINTS: Final = 300


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="where the PNG goes")
    parser.add_argument("--prometheus", metavar="URL", help="one that is there, and no rehearsal")
    parser.add_argument("--minutes", type=float, help="of the rehearsal (10), or looked back (60)")
    given = parser.parse_args()
    try:
        picture = _look_back(given) if given.prometheus else _rehearse(given)
    except (NotMeasurable, OSError) as error:
        print(f"dashboard: {error}", file=sys.stderr)
        return 1
    given.picture.write_bytes(picture)
    print(f"{given.picture}: {len(picture) / 1000:.0f} kB")
    return 0


def _look_back(given: argparse.Namespace) -> bytes:
    now = time.time()
    seconds = 60 * (given.minutes or 60)
    return _drawn(Prometheus(given.prometheus.rstrip("/")), now - seconds, now)


def _rehearse(given: argparse.Namespace) -> bytes:
    seconds = 60 * (given.minutes or 10)
    with (
        running_cluster() as admin,
        tempfile.TemporaryDirectory(prefix="kiln-dashboard-") as folder,
        rehearsed(
            admin, Path(folder), namespace=NAMESPACE, seconds=seconds, scrape=SCRAPE_SECONDS
        ) as seen,
    ):
        return _drawn(seen.prometheus, seen.start, seen.end)


def _drawn(prometheus: Prometheus, start: float, end: float) -> bytes:
    step = max(SCRAPE_SECONDS, (end - start) / POINTS)
    found = [(each, list(_found(prometheus, each, start, end, step))) for each in panels()]
    return draw(found, start, end, step)


def _found(
    prometheus: Prometheus, panel: Panel, start: float, end: float, step: float
) -> Iterator[tuple[str, Series]]:
    for query in panel.queries:
        for series in prometheus.over(query.filled(), start, end, step):
            yield query.name(series), series


if __name__ == "__main__":
    sys.exit(main())
