"""The control plane: outside all regions, with a database of its own; it knows a region only by its peer address."""
