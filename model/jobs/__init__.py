"""Work that outlives its request: what was asked for, how far it is, and what came of it."""
