"""The process that owns the device, and the handle by which the API process drives it."""
