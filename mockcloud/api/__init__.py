"""Messages generated from protos/ by `make protos`; every layer may use them."""
