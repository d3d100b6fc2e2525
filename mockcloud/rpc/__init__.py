"""gRPC plumbing for the layers above: servers, the error map, methods by name, links between regions."""
