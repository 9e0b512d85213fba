"""The few values that every room speaks of: targets, names, digests."""
