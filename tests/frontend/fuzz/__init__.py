"""Random messages for every RPC, and a region whose state they must not spoil."""
