"""Decides: events in, commands out; the only place where a delivery is planned.

The domain model, ranking, duration estimates, the forecast, scaling and admission. Everything here
is pure: no clock, no input or output, no threads, no randomness; time arrives with each event as
POSIX seconds, so that a recorded journal replays to the same commands.
"""
