"""What makes the project's environment and its generated pages."""
