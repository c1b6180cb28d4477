"""The licence of a base model, read from its card."""

import pytest

from adasr_trl.config.sections import ModelConfig
from adasr_trl.hub.licence import Licence, base_licence


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n", Licence("mit")),
        (
            "---\nlicense: other\nlicense_name: gemma\nlicense_link: https://example.org/terms\n---\n",
            Licence("other", "gemma", "https://example.org/terms"),
        ),
        ("---\nlicense: other\nlicense_link: LICENSE\n---\n", Licence("other")),
        ("---\nlicense: [mit, apache-2.0]\n---\n", None),
        ("---\ntags: [a]\n---\n", None),
        ("---\nlicense: [mit\n---\n", None),
        ("# no front matter\n", None),
        (None, None),
    ],
)
def test_which_licence_the_card_of_a_directory_states(tmp_path, card, licence):
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert base_licence(ModelConfig(path=str(tmp_path)), ask_hub=False) == licence


def test_a_model_made_from_scratch_has_no_bases_licence():
    assert base_licence(None, ask_hub=True) is None
