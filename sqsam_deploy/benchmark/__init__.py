"""Latency, memory, load time and size of artifacts on a CPU, a CUDA GPU or an iPhone."""
