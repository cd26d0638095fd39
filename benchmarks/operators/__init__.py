"""The arena of the scenario ``operator``: a real API server, Kiln's operator, and one that is
written by hand, each in a namespace of its own, with a service account of its own and its rights.
"""
