"""The TensorFlow side: build, import, compress, train and convert models. Only workers import it."""
