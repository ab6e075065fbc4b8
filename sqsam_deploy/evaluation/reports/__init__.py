"""A parity report for people and for CI: terminal, log, Markdown, JUnit, HTML."""
