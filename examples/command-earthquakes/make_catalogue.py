"""Make a folder of monthly earthquake catalogues, with columns as the USGS writes them.

The events are drawn at random along five plate boundaries, with magnitudes after Gutenberg and
Richter. The same seed makes the same files.
"""

import csv
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

COLUMNS = ("time", "latitude", "longitude", "depth", "mag", "magType", "id", "place")
BOUNDARIES = {
    "Aegean Sea": (36.5, 25.0, 2.0),
    "off the coast of Honshu, Japan": (37.5, 142.5, 2.5),
    "Kermadec Islands": (-30.0, -178.5, 3.0),
    "Tonga": (-19.0, 179.5, 3.0),
    "offshore Chile": (-30.0, -71.5, 3.0),
}
MONTHS, EVENTS_A_MONTH, MAGNITUDE_MIN = 24, 400, 2.5


def main() -> None:
    """Write the files into the folder named on the command line, ``catalogue`` if none is."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "catalogue")
    chance = random.Random(1906)
    for number in range(MONTHS):
        month = datetime(2023 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
        path = folder / f"{month:%Y}" / f"{month:%Y-%m}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            catalogue = csv.writer(file, lineterminator="\n")
            catalogue.writerow(COLUMNS)
            catalogue.writerows(events(month, chance))
    print(f"{MONTHS} files with {MONTHS * EVENTS_A_MONTH:,} events in {folder}")


def events(month: datetime, chance: random.Random) -> list[tuple[object, ...]]:
    """Return the events of a month in the order of time."""
    instants = sorted(chance.uniform(0, 28 * 86400) for _ in range(EVENTS_A_MONTH))
    return [event(month + timedelta(seconds=s), chance) for s in instants]


def event(at: datetime, chance: random.Random) -> tuple[object, ...]:
    """Return one event: somewhere around a boundary, mostly small and shallow."""
    place, (latitude, longitude, spread) = chance.choice(list(BOUNDARIES.items()))
    east = longitude + chance.gauss(0, spread)
    return (
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        round(latitude + chance.gauss(0, spread), 4),
        round((east + 180) % 360 - 180, 4),
        round(chance.expovariate(1 / 40), 1),
        round(MAGNITUDE_MIN - math.log10(1 - chance.random()), 1),
        "mb",
        f"ex{chance.getrandbits(40):010x}",
        place,
    )


if __name__ == "__main__":
    main()
