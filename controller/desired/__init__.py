"""What should be in the cluster: pure functions from a spec to manifests, one Kubernetes kind a
file.

Nothing here reads a clock, a file or a cluster. The same spec and the same pinned defaults always
make the same objects.
"""
