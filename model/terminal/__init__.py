"""Show pictures where people type: what a terminal can, and how it is told."""
