"""JSON Schema of what commands write with `--json`."""
