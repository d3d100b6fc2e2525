"""Generated messages of protos/mockcloud/admin."""
