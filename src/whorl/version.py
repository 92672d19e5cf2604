"""The version of Whorl, in its one place: the build reads it from here, and so does `whorl --version`."""

__version__ = "0.1.0"
