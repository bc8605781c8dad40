"""The Argo application: reads the Argo float archive and makes products of what it holds.

`index`, `catalogue` and `changes` say what the archive holds and what changed in it; `extract`
turns one part into one fragment, `combine` fragments into one product; `application` ties them
together for the service.
"""
