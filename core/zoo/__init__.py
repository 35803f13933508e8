"""The model library: cards, labels, weights, and the .tflite files that serve them."""
