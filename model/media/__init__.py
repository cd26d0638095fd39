"""Pictures in and out: decode what clients send, encode what they get."""
