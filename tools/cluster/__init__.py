"""A real Kubernetes control plane on the loopback, with KServe's manager: for tests and people.

What an operator gets wrong is what only an API server knows: defaulting, CEL rules, conflicts of
server-side apply, rights, garbage collection. So the tests run against the programs themselves,
built from their Go modules once. No root, no containers: pods are objects that nobody runs, unless
a node is asked for.
"""
