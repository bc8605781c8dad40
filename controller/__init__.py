"""Acts: carries out what the planner decides and turns the outcomes into events.

The service and everything that touches the world: engines, nodes, stores, data sources, delivery,
notices, the applications that run on workers, the API and the command line.
"""
