"""From a float32 ONNX model to an INT8 one, with accuracy and speed measured against float.

quantize_model  the public function: the steps in their order
options         what the caller chooses
steps           the steps, and the values that they hand on
pictures        calibration pictures: which are usable, and what is wrong with the others
histogram       the distribution of a tensor, in constant memory
observers       from what was seen of a tensor to its range
calibration     runs the model and observes its tensors
ranges          the range of a tensor; ranges_file keeps them where people can edit them
grid            8-bit grids, and the rounding of weights and biases
placement       which operators are quantized, and how, on each target
lowering        writes the quantized graph
channels        the range of each channel, for equalising them
correction      biases that make up for the rounding of the weights
candidates      INT8 models with some units left in float
islands         the nodes that each unit changes
switched        a float graph in which any one of some units can run on integers
sensitivity     how much noise each unit adds
accuracy        class maps against the float model's, and against labels
search          which units to leave in float
verdict         whether the result is within the drop and faster than float
report          what came out, as JSON and as an HTML page
activations     runs a model in memory and returns any of its tensors
"""
