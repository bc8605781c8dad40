"""Select earthquakes: the tool that slackwater runs for each part of a request.

It knows nothing of slackwater but what stands on its stdin: the part as JSON. It reads the monthly
files named there, keeps the events inside the box and the period, and writes one CSV file.
"""

import csv
import json
import sys
from datetime import datetime
from pathlib import Path

ALWAYS = ("time", "latitude", "longitude", "id")


def main() -> None:
    """Read the part and write its fragment."""
    part = json.load(sys.stdin)
    columns = [*ALWAYS, *part["parameters"]]
    with Path(part["fragment"]).open("w", newline="") as file:
        selected = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        selected.writeheader()
        for listed in part["files"]:
            with (Path(part["archive"]) / listed["path"]).open(newline="") as month:
                selected.writerows(event for event in csv.DictReader(month) if wanted(event, part))


def wanted(event: dict[str, str], part: dict) -> bool:
    """Tell whether an event lies in the part; boxes and periods are half-open."""
    west, south, east, north = part["bbox"]
    longitude, latitude = float(event["longitude"]), float(event["latitude"])
    past_west, before_east = longitude >= west, longitude < east
    # A box whose west lies east of its east crosses the antimeridian.
    across = (past_west or before_east) if west > east else (past_west and before_east)
    inside = across and south <= latitude < north
    return inside and in_period(event["time"], part) and strong_enough(event["mag"], part)


def in_period(time: str, part: dict) -> bool:
    start, end = part["datetime"].split("/")
    at = datetime.fromisoformat(time)
    after = start == ".." or at >= datetime.fromisoformat(start)
    return after and (end == ".." or at < datetime.fromisoformat(end))


def strong_enough(magnitude: str, part: dict) -> bool:
    """Judge by the subscriber's option; what cannot be read as a number is refused in words."""
    least = part["options"].get("magnitude_min", "0")
    try:
        return float(magnitude) >= float(least)
    except ValueError:
        sys.exit(f"magnitude_min is {least!r}: give a number, as 4.5")


if __name__ == "__main__":
    main()
