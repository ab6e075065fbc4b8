"""Reports of an export and of a parity run, for people and for CI."""
