"""The kinds of jobs, one module each.

`kind` defines a kind, `learners` the parameters of kinds that go through learners, and `registry`
collects the kinds by name.
"""
