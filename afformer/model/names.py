"""Official parameter names -> ours, as one table.

The official state dict stores a stage's shared position encoding (`cpe`) and high-pass filters (`crpe`) once for the
encoder and again under every layer that uses them; all the copies are one tensor and map to one name of ours.
"""

from __future__ import annotations

import re

_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_WB = r"(weight|bias)"
_STAGE = r"backbone\.mhca_stages\.(\d)"
_EMBED = r"backbone\.patch_embed_stages\.(\d)\.patch_embeds"
_ENCODER = _STAGE + r"\.mhca_blks\.0"
_LAYER = _ENCODER + r"\.MHCA_layers\.(\d)"

_RULES: tuple[tuple[str, str], ...] = (
    (r"backbone\.stem\.(\d)\.conv\.weight", r"stem.\1.conv.weight"),
    (rf"backbone\.stem\.(\d)\.bn\.{_NORM}", r"stem.\1.norm.\2"),
    (rf"{_EMBED}\.0\.patch_conv\.dwconv\.weight", r"stages.\1.pixel_embed.depthwise.weight"),
    (rf"{_EMBED}\.0\.patch_conv\.pwconv\.weight", r"stages.\1.pixel_embed.pointwise.weight"),
    (rf"{_EMBED}\.0\.patch_conv\.bn\.{_NORM}", r"stages.\1.pixel_embed.norm.\2"),
    (rf"{_EMBED}\.1\.patch_conv\.dwconv\.weight", r"stages.\1.prototype_embed.depthwise.weight"),
    (rf"{_EMBED}\.1\.patch_conv\.pwconv\.weight", r"stages.\1.prototype_embed.pointwise.weight"),
    (rf"{_EMBED}\.1\.patch_conv\.bn\.{_NORM}", r"stages.\1.prototype_embed.norm.\2"),
    (rf"{_STAGE}\.Restore\.conv1\.conv\.weight", r"stages.\1.descriptor.reduce.conv.weight"),
    (rf"{_STAGE}\.Restore\.conv1\.bn\.{_NORM}", r"stages.\1.descriptor.reduce.norm.\2"),
    (rf"{_STAGE}\.Restore\.dwconv\.weight", r"stages.\1.descriptor.local.weight"),
    (rf"{_STAGE}\.Restore\.norm\.{_NORM}", r"stages.\1.descriptor.local_norm.\2"),
    (rf"{_STAGE}\.Restore\.conv2\.conv\.weight", r"stages.\1.descriptor.expand.conv.weight"),
    (rf"{_STAGE}\.Restore\.conv2\.bn\.{_NORM}", r"stages.\1.descriptor.expand.norm.\2"),
    (rf"{_STAGE}\.aggregate\.conv\.weight", r"stages.\1.aggregate.conv.weight"),
    (rf"{_STAGE}\.aggregate\.bn\.{_NORM}", r"stages.\1.aggregate.norm.\2"),
    (rf"{_ENCODER}(?:\.MHCA_layers\.\d)?\.cpe\.proj\.{_WB}", r"stages.\1.prototypes.position.conv.\2"),
    (
        rf"{_ENCODER}(?:\.MHCA_layers\.\d)?(?:\.factoratt_crpe)?\.crpe\.conv_list\.(\d)\.{_WB}",
        r"stages.\1.prototypes.high_pass.filters.\2.\3",
    ),
    (rf"{_LAYER}\.(norm1|norm2)\.{_WB}", r"stages.\1.prototypes.blocks.\2.\3.\4"),
    (rf"{_LAYER}\.factoratt_crpe\.(qkv|proj)\.{_WB}", r"stages.\1.prototypes.blocks.\2.filter.\3.\4"),
    (rf"{_LAYER}\.mlp\.(fc1|fc2)\.{_WB}", r"stages.\1.prototypes.blocks.\2.mlp.\3.\4"),
    (rf"{_LAYER}\.mlp\.dwconv\.dwconv\.{_WB}", r"stages.\1.prototypes.blocks.\2.mlp.depthwise.\3"),
    (r"decode_head\.squeeze\.conv\.weight", r"head.squeeze.weight"),
    (rf"decode_head\.squeeze\.gn\.{_WB}", r"head.norm.\1"),
    (rf"decode_head\.conv_seg\.{_WB}", r"head.classify.\1"),
)
_COMPILED = tuple((re.compile(pattern), ours) for pattern, ours in _RULES)
UNUSED = {
    "decode_head.align.conv.weight": (256, 256, 1, 1),
    "decode_head.align.gn.weight": (256,),
    "decode_head.align.gn.bias": (256,),
}
"""Shapes of tensors in official checkpoints that the network never reads."""


def our_name(official: str) -> str | None:
    """Our name of an official parameter; None if the table has none."""
    for pattern, ours in _COMPILED:
        match = pattern.fullmatch(official)
        if match:
            return match.expand(ours)
    return None
