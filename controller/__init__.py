"""The operator: it turns a DiffusionService into the objects that serve it, and tells the truth
about them. Imports no torch, no kserve and no numpy; of the model server only ``model.contract``.
"""

__version__ = "0.1.0"
