"""Puts this folder's helper, `quantized_parameters`, within reach of the runtimes' tests."""
