"""A service that the tests kill or interrupt: it runs one part until a file goes, then closes."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.controller.engines import works
from tests.controller.engines.carrier import Carrier, work


def main(path: Path) -> None:
    carrier = Carrier()
    try:
        carrier.engine.submit([work(carrier.node(), "p1", works.hold, path)])
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted")
        path.unlink()
        (event,) = carrier.inbox.ended(1)
        print(type(event).__name__)
        sys.exit(130)
    finally:
        carrier.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
