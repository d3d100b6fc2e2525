"""What of the real service is served here, told from the tables that serve it."""
