"""Where and what invented subscribers want: tables to draw from."""

from __future__ import annotations

from planner.extent import Box

REGIONS: tuple[tuple[str, Box], ...] = (
    ("mediterranean", Box(west=-6.0, south=30.0, east=36.5, north=46.0)),
    ("north-atlantic", Box(west=-75.0, south=25.0, east=-10.0, north=60.0)),
    ("nordic-seas", Box(west=-20.0, south=60.0, east=20.0, north=80.0)),
    ("gulf-of-guinea", Box(west=-20.0, south=-15.0, east=15.0, north=10.0)),
    ("south-atlantic", Box(west=-60.0, south=-50.0, east=20.0, north=-10.0)),
    ("arabian-sea", Box(west=45.0, south=0.0, east=78.0, north=27.0)),
    ("bay-of-bengal", Box(west=78.0, south=0.0, east=100.0, north=23.0)),
    ("south-indian", Box(west=30.0, south=-50.0, east=115.0, north=-5.0)),
    ("south-china-sea", Box(west=100.0, south=0.0, east=125.0, north=25.0)),
    ("kuroshio", Box(west=125.0, south=20.0, east=170.0, north=45.0)),
    ("equatorial-pacific", Box(west=160.0, south=-10.0, east=-80.0, north=10.0)),
    ("north-east-pacific", Box(west=-170.0, south=20.0, east=-110.0, north=55.0)),
    ("south-pacific", Box(west=150.0, south=-50.0, east=-75.0, north=-10.0)),
    ("southern-ocean", Box(west=-180.0, south=-78.0, east=180.0, north=-50.0)),
)
"""Basins that regional centres of ocean forecasting serve, roughly: all seas but the Arctic."""

WHOLE_SHARE = 0.3
"""Of the subscribers, this share wants a whole region; the others a piece of one."""

PIECE_SIDE_MIN = 0.2
"""The sides of a piece are drawn between this share of the region's and the whole."""

WISHES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("PSAL", "TEMP"), 6),
    (("TEMP",), 2),
    ((), 1),
    (("DOXY",), 1),
    (("CHLA", "DOXY", "NITRATE"), 1),
)
"""Lists of parameters, and how often each is wanted beside the others; empty means all. Those that
the archive does not hold are not drawn."""

RECENT_SHARE = 0.3
"""This share wants only what was measured since the trace begins, and so no reprocessing."""
