"""The diffusers side: which pipelines exist, what they do by default, and how to call them."""
