"""The experiments of the source chapter (doi 10.1007/978-3-030-52829-4_16), repeated on an index.

Each module is one of them, made of plain values: an archive's index as columns, seeds, settings.
"""
