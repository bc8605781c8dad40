"""Cuts: one extent into n that cover it exactly and never overlap; one file a strategy.

A strategy sees an extent, a load map (or none) and the number of parts wanted. Others plug in
through the entry point group ``slackwater.partitioners``. Pure, as the planner is.
"""
