"""Parameters that no float measures but that follow from what it does: plug-ins, one value a level.

What each is lies in a file of its own; `catalogue` lists them, `deriving` applies them.
"""
