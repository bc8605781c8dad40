"""Nodes: providers create, list and delete them; the keeper brings the planner's commands there."""
