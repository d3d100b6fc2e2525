"""Generated messages of protos/mockcloud/replication."""
