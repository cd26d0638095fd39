"""OpenAI's images API over the same pipeline: what its clients send, and what they expect."""
