from __future__ import annotations

from typing import Any

import pytest

from afformer.model.config_text import config_of
from afformer.model.label_convention import reduces_zero_label


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"meta": {"config": "dict(type='LoadAnnotations', reduce_zero_label=True),\n"}}, True),
        ({"meta": {"cfg": "{'reduce_zero_label': False}"}}, False),
        ({"meta": {"config": "a(reduce_zero_label=True)\nb(reduce_zero_label = False)"}}, None),
        ({"meta": {"config": "num_classes=150"}}, None),
        ({"meta": {"dataset_meta": {"reduce_zero_label": True}, "cfg": "reduce_zero_label=False"}}, True),
        ({"meta": {"config": "zero = True\ntrain = dict(pipeline=[dict(reduce_zero_label=zero)])"}}, True),
        ({"meta": {"config": "a = 1  # reduce_zero_label=True"}}, None),
        ({"meta": {"config": '{"data": [{"reduce_zero_label": true}]}'}}, True),
        ({"meta": {"config": "reduce_zero_label = ("}}, None),
        ({"meta": {"config": 7}}, None),
        ({"meta": "text"}, None),
        ({"state_dict": {}}, None),
        ([1], None),
        ({"hyper_parameters": {"dataset": {"reduce_zero_label": True}}}, True),
        ({"image_processor": {"do_reduce_labels": True}}, True),
    ],
)
def test_the_configuration_says_whether_labels_count_from_one(content: Any, found: bool | None) -> None:
    assert reduces_zero_label(content, config_of(content, {})) is found
