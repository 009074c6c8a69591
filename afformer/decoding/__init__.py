"""Bytes of a picture file, in any format -> `(H, W, 3)` uint8 RGB, as it is meant to be seen.

Pillow decodes most formats: OpenCV guesses, as it multiplies a TIFF's colours by its alpha and leaves an AVIF as it is
stored, and writes to stderr about damaged JPEGs, which it decodes no faster (0.7 to 1.2 of its time, by size). OpenCV
decodes PNG, faster and with all 16 bits, and TIFF of more than 8 bits.
"""

from afformer.decoding.decode import decode, label_numbers, orientation
from afformer.decoding.signatures import JPEG, PNG, TIFF, is_picture

__all__ = ["JPEG", "PNG", "TIFF", "decode", "is_picture", "label_numbers", "orientation"]
