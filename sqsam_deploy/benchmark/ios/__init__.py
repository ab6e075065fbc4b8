"""Measuring on an iPhone from a Mac: what the app is given, and Xcode's tools around it."""
