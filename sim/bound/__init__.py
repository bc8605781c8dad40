"""What a load costs at least, and how many of its deadlines can be met at most.

A real schedule runs whole parts, one on a slot, and does not know what comes. Let work be shared
out over slots at will, and everything be known beforehand: what is best then costs no more than any
schedule, and meets no fewer deadlines. That is a linear programme. `sim.bound.cost.cost_bound` and
`sim.bound.hits.most_hits` are the ways in; `docs/explanation/regret.md` tells how to read them.
"""
