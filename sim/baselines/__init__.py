"""How other systems scale: their published rules as policies, to be compared with ours.

Written from the formulas, with the defaults as published; none of their code is here. Each module
holds one system's rule, `polling` what they share, and `catalogue` knows them all by name.
`docs/reference/baselines.md` tells what each rule does and where it is simplified.
"""
