"""Measuring on phones: the plan, the tools that run an app, and the check of its result."""
