"""From a float32 ONNX model to an INT8 one that is faster and nearly as accurate, both measured.

    pictures      which pictures calibration can use, and what is wrong with them
    histogram     the distribution of a tensor, in constant memory
    observers     from what was seen of a tensor to its range
    calibration   runs the model and observes its tensors
    cache         ranges as a file that people can read and edit
    placement     which operator is quantized how, per target
    lowering      from float graph and ranges to the integer graph
    correction    biases that make up for the rounding of the weights
    sensitivity   how much noise each unit of the graph brings
    accuracy      class maps against the float model's, and against labels
    workshop      makes candidates: integer models with some units left in float
    search        which units to leave in float
    verdict       whether a candidate is worth having
    report, page  what came out, as JSON and as an HTML page
    quantizer     all of it, in order

Everything is numpy and onnx; ONNX Runtime is loaded when a model has to run.
"""
