"""Replication between regions: sender, receiver, apply, resend, parked batches, dead letters, lag."""
