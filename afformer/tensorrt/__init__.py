"""ONNX file -> TensorRT plan. What a plan computes in is written in the ONNX; here it is built, and checked."""
