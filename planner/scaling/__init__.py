"""Says how many nodes there should be: pure steps `(memory, view) -> (memory, wanted change)`.

`view` is all that a policy may look at, `thresholds` holds the source chapter's policies and
`prefix` the default one; `policy` is the contract, and names those that are built in.
"""
