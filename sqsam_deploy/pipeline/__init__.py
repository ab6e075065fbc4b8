"""From a checkpoint to a directory of executed artifacts: stages strung together."""
