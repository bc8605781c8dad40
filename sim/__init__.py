"""Pretends: plays the world around the same planner in virtual time.

Workloads, traces, faults and baselines, and the figures drawn from them; what is decided here is
decided by the very code that decides live.
"""
