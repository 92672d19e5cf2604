"""Whorl beside other servers, and beside its own past: see README.md in this folder."""
