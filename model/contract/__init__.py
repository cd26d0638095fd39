"""What the model server and the operator agree on, and the types that every room of the server
shares. Imports no torch, kserve or numpy.
"""
