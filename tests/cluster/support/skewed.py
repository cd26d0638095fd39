"""``python -m controller`` by a clock that is wrong.

``python -m tests.cluster.support.skewed SECONDS FLAGS``: what asks for the time of day gets it from
here; what measures how long something takes does not ask for it.
"""

import datetime
import sys
import time
from typing import Self


def main() -> int:
    skew = float(sys.argv[1])
    right = time.time
    time.time = lambda: right() + skew

    class Skewed(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return super().now(tz) + datetime.timedelta(seconds=skew)

    datetime.datetime = Skewed  # type: ignore[misc]
    from controller.__main__ import main as run  # it takes the clock at its import

    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
