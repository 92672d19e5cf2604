"""The command line, derived from the settings of `whorl.config`. No logic lives here; see README.md in this folder."""
