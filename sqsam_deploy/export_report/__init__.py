"""The page that explains an export: sizes, agreement, layers, operators, time, provenance."""
