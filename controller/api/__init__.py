"""DiffusionService, ``kiln.dev/v1alpha1``: the one source of the CRD, its reference page, the
schema of editors, and of what the operator reads.
"""
