"""Tests of `whorl.config` and `whorl.cli`."""
