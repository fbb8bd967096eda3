"""A simulation of Testkube: what stands for it in tests, `make dev` and `make demo`.

`api` answers as a real one was recorded to, `executions` is what it tells of, `cluster` executes what is in Kubernetes,
`triggers` says when, and `scores` makes up how the agent did. `python -m localcluster.testkube` is all of it.
"""
