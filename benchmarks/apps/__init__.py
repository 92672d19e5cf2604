"""The applications that every server under test serves: the same objects for all."""
