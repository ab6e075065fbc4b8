"""What an artifact's operators are and what runs them: one module a runtime."""
