"""Readers and writers, one file a format, found through `kpkit.registry`."""
