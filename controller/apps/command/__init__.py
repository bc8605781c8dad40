"""The command application: has any command line turn parts into fragments, and joins these.

`orders` is what travels to workers; `extract` runs the command for one part, under a `guard` that
ends it and all it has started; `combine` joins the fragments to one product; `listing` and `places`
say what the folder of a dataset holds; `application` ties them together for the service.
"""
