"""Honest numbers: size, latency, memory, accuracy and the statistics that compare them."""
