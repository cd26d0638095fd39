"""From flags, environment and config file to ``Settings``: every value with its source (W02)."""
