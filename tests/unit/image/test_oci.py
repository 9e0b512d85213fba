from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.image import spec as oci
from elt_env.image.spec import Descriptor, ImageConfig, Manifest

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
DIGEST = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
DESCRIPTORS = st.builds(
    Descriptor,
    TEXT,
    DIGEST,
    st.integers(0, 1 << 40),
    st.dictionaries(TEXT, TEXT, max_size=2),
    st.none() | TEXT.filter(bool),
    st.none() | st.tuples(TEXT, TEXT),
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)


@given(DESCRIPTORS)
def test_a_descriptor_reads_as_written(descriptor: Descriptor) -> None:
    assert oci.parse_descriptor(json.loads(oci.encode(descriptor.to_json()))) == descriptor


@given(
    st.builds(
        Manifest,
        DESCRIPTORS,
        st.lists(DESCRIPTORS, max_size=3).map(tuple),
        st.dictionaries(TEXT, TEXT, max_size=2),
        st.none() | TEXT.filter(bool),
        st.none() | DESCRIPTORS,
    )
)
def test_a_manifest_reads_as_written(manifest: Manifest) -> None:
    assert oci.parse_manifest(manifest.to_bytes()) == manifest


@given(st.lists(DESCRIPTORS, max_size=3).map(tuple))
def test_an_index_reads_as_written(listed: tuple[Descriptor, ...]) -> None:
    assert oci.parse_index(oci.index_bytes(listed)) == listed


@given(TEXTS, TEXTS, TEXT, st.lists(DIGEST, max_size=3).map(tuple))
def test_a_config_reads_as_written(
    env: tuple[str, ...], command: tuple[str, ...], user: str, diff_ids: tuple[str, ...]
) -> None:
    config = ImageConfig(
        "amd64",
        "1970-01-01T00:00:00Z",
        env=env,
        command=command,
        user=user,
        labels={"a": "b"},
        diff_ids=diff_ids,
        holds=tuple(f"layer {each}" for each in range(len(diff_ids))),
    )
    assert oci.parse_config(config.to_bytes()) == config


def test_a_history_that_tells_of_no_layer_is_left_out() -> None:
    content = {
        "architecture": "arm64",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
        "history": [{"created_by": "ENV", "empty_layer": True}, {"created_by": "COPY"}],
    }
    assert oci.parse_config(oci.encode(content)).holds == ("COPY",)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "text",
        [],
        {},
        {"mediaType": "m", "digest": "sha256:1", "size": 1},
        {"mediaType": "m", "digest": "sha512:" + "0" * 128, "size": 1},
        {"mediaType": "m", "digest": "sha256:" + "0" * 64, "size": -1},
        {"mediaType": "m", "digest": "sha256:" + "0" * 64, "size": 1, "platform": {"os": "l"}},
    ],
)
def test_what_is_no_descriptor_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        oci.parse_descriptor(content)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"1", b'{"manifests": 1}', b"\xff"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    for parse in (oci.parse_manifest, oci.parse_config, oci.parse_index):
        with pytest.raises(ValueError):  # noqa: PT011  # json's own among them
            parse(data)


@pytest.mark.parametrize(
    ("platform", "name"), [("linux-64", "amd64"), ("linux-aarch64", "arm64"), ("linux-x", "x")]
)
def test_architectures_have_their_names_in_go(platform: str, name: str) -> None:
    assert oci.architecture(platform) == name
