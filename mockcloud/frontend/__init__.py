"""The gRPC services of a region by family; which region answers a call, and what every call is checked for."""
