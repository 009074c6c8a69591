"""Networks and checkpoint files for tests."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from afformer.model.network import AFFormer, AFFormerConfig

# Ours -> official, written apart from the table under test.
_OFFICIAL = (
    (r"^stem\.(\d)\.norm", r"backbone.stem.\1.bn"),
    (r"^stem", "backbone.stem"),
    (r"^stages\.(\d)\.pixel_embed\.", r"backbone.patch_embed_stages.\1.patch_embeds.0.patch_conv."),
    (r"^stages\.(\d)\.prototype_embed\.", r"backbone.patch_embed_stages.\1.patch_embeds.1.patch_conv."),
    (r"patch_conv\.depthwise", "patch_conv.dwconv"),
    (r"patch_conv\.pointwise", "patch_conv.pwconv"),
    (r"patch_conv\.norm", "patch_conv.bn"),
    (r"^stages\.(\d)\.", r"backbone.mhca_stages.\1."),
    (r"descriptor\.reduce\.norm", "Restore.conv1.bn"),
    (r"descriptor\.reduce", "Restore.conv1"),
    (r"descriptor\.expand\.norm", "Restore.conv2.bn"),
    (r"descriptor\.expand", "Restore.conv2"),
    (r"descriptor\.local_norm", "Restore.norm"),
    (r"descriptor\.local", "Restore.dwconv"),
    (r"aggregate\.norm", "aggregate.bn"),
    (r"prototypes\.position\.conv", "mhca_blks.0.cpe.proj"),
    (r"prototypes\.high_pass\.filters", "mhca_blks.0.crpe.conv_list"),
    (r"prototypes\.blocks", "mhca_blks.0.MHCA_layers"),
    (r"\.filter\.", ".factoratt_crpe."),
    (r"mlp\.depthwise", "mlp.dwconv.dwconv"),
    (r"^head\.squeeze", "decode_head.squeeze.conv"),
    (r"^head\.norm", "decode_head.squeeze.gn"),
    (r"^head\.classify", "decode_head.conv_seg"),
)


def random_network(config: AFFormerConfig | None = None, num_classes: int = 5, seed: int = 0) -> AFFormer:
    """A network whose every part matters: random norms and statistics, not the neutral ones of a fresh network."""
    torch.manual_seed(seed)
    network = AFFormer(config or AFFormerConfig.tiny(), num_classes)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var") or ("norm" in name and name.endswith("weight")):
                tensor.uniform_(0.6, 1.4)
            elif name.endswith(("running_mean", "bias")) or name == "head.classify.weight":
                tensor.normal_(0, 0.1)
    return network.eval()


def official_state(network: AFFormer) -> dict[str, Tensor]:
    """The state dict as the official implementation saves it: its names, its copies, its unused block."""
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        official = name
        for pattern, replacement in _OFFICIAL:
            official = re.sub(pattern, replacement, official)
        state[official] = tensor
    for name, tensor in list(state.items()):
        match = re.match(r"(.*mhca_blks\.0\.)(cpe|crpe)(\..*)", name)
        if match:
            depth = network.config.depths[int(re.findall(r"mhca_stages\.(\d)", name)[0])]
            for layer in range(depth):
                state[f"{match[1]}MHCA_layers.{layer}.{match[2]}{match[3]}"] = tensor
                if match[2] == "crpe":
                    state[f"{match[1]}MHCA_layers.{layer}.factoratt_crpe.crpe{match[3]}"] = tensor
    state["decode_head.align.conv.weight"] = torch.zeros(256, 256, 1, 1)
    state["decode_head.align.gn.weight"] = torch.ones(256)
    state["decode_head.align.gn.bias"] = torch.zeros(256)
    return state
