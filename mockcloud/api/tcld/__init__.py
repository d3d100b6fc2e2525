"""`tcld` as messages: what its own services carry."""
