"""Proxies in front of the server: which are trusted, and what they say about their clients."""
