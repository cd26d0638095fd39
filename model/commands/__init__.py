"""What the command line does, a command each. Each module is light to import, so that ``--help``
answers at once; what is heavy is imported by the command that runs."""
