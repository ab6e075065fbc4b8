"""JSON Schema of the result file, shipped in the wheel and shared with the iPhone app."""
