"""Caching that is sound for frames: keys from content, results without pickle."""
