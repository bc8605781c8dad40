"""Measures what reading an archive costs, so that the first part is predicted as well as the last.

Requests are drawn (`requests`) and read as a worker would (`measuring`); correlations and costs
are found (`statistics`), cuts are compared by them (`advice`), and all is kept (`record`).
"""
