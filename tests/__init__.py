"""The tests of Whorl: one folder for each folder of the source."""
