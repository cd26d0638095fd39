"""What a server does in each of its roles, one page each."""
