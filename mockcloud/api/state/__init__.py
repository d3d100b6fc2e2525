"""Generated messages of protos/mockcloud/state."""
