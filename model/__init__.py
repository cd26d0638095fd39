"""Kiln's model server: serves diffusion pipelines over KServe's protocols, and says Ready only
when it is warm.
"""

__version__ = "0.1.0"
