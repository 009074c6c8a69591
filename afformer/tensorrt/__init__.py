"""TensorRT: an ONNX model becomes an engine of proven precision, and the engine runs as a backend."""
