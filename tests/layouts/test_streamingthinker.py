"""Rows of StreamingThinker's format under the attention that its text describes, against a dense reference in eager mode.

The rows are our own; the format is its data's: ``<EOS>`` ends a sentence of the input, ``<EOQ>`` the question's
restatement, ``<EOT>`` a thought, ``<EOR>`` the deep reasoning and ``<EOA>`` the answer. Words are tokens here.
"""

from __future__ import annotations

import pytest
import torch

from adasr_trl.layouts.visibility import StreamingForward, mask_and_positions, source_visibility
from support.families import GOOD, build
from support.parallel_layout import naive

ROWS = [
    {
        "context": "Tom has 5 coins. <EOS> He finds 3. <EOS>",
        "instruct": "How many coins?",
        "streaming_reasoning": "Coins of Tom? <EOQ> Tom 5 <EOT> 5 + 3 = 8 <EOT>",
        "deep_reasoning": "So 8. <EOR> The answer is 8. <EOA>",
    },
    {
        "context": "Ann is old. <EOS> It rains. <EOS> Bob is older than Ann. <EOS>",
        "instruct": "Who is older?",
        "streaming_reasoning": "Older? <EOQ> Ann: old <EOT> nothing <EOT> Bob over Ann <EOT>",
        "deep_reasoning": "Bob is, check: yes. <EOR> Bob. <EOA>",
    },
]


def segments(text, marker):
    """Lists of words, each ending with the marker."""
    found, words = [], text.split()
    while marker in words:
        end = words.index(marker) + 1
        found.append(words[:end])
        words = words[end:]
    return found, words


def trajectory(row):
    """(words, chunk of each word, length of the source)."""
    sentences, _ = segments(row["context"], "<EOS>")
    restated, rest = segments(row["streaming_reasoning"], "<EOQ>")
    thoughts, _ = segments(" ".join(rest), "<EOT>")
    assert len(thoughts) == len(sentences)
    parts = [(row["instruct"].split(), -1)]
    parts += [(words, k) for k, words in enumerate(sentences)]
    length = sum(len(words) for words, _ in parts)
    parts += [(restated[0], -1)]
    parts += [(words, k) for k, words in enumerate(thoughts)]
    parts += [(row["deep_reasoning"].split(), len(sentences))]
    words = [word for words, _ in parts for word in words]
    return words, [chunk for words, chunk in parts for _ in words], length


# The first row's source is 3 words of question, 5 and 4 of sentences; its target opens "Coins of Tom? <EOQ> Tom 5 <EOT>".
# By hand, how many words of the source the first five and the seventh of the target see.
BY_HAND = {True: [3, 3, 3, 8, 8, 12], False: [3, 3, 3, 3, 8, 8]}


@pytest.mark.parametrize("fed", [True, False], ids=["fed", "written"])
def test_the_first_rows_of_the_mask_are_those_written_by_hand(fed):
    _, chunks, length = trajectory(ROWS[0])
    assert length == 12
    mask, _ = mask_and_positions(torch.tensor([source_visibility(length, chunks, fed=fed)]))
    for target, seen in zip([0, 1, 2, 3, 4, 6], BY_HAND[fed], strict=True):
        expected = [1] * seen + [0] * (12 - seen) + [1] * (target + 1)
        found = mask[0, 0, 12 + target].int().tolist()
        assert found == expected + [0] * (len(chunks) - len(expected))


@pytest.mark.parametrize("row", ROWS, ids=["sum", "order"])
@pytest.mark.parametrize("fed", [True, False], ids=["fed", "written"])
def test_log_probabilities_agree_with_a_dense_eager_reference(row, fed):
    words, chunks, length = trajectory(row)
    table = {word: 3 + i for i, word in enumerate(sorted(set(words)))}
    ids = torch.tensor([[table[word] for word in words]])
    seen = naive(length, chunks, fed)
    additive = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    positions = torch.tensor([[*range(length), *range(len(words) - length)]])
    visibility = torch.tensor([source_visibility(length, chunks, fed=fed)])
    model = build(GOOD["qwen3"], 420)
    with torch.no_grad():
        ours = StreamingForward(model, model, lambda _: visibility)(
            input_ids=ids, attention_mask=visibility
        ).logits
        model.set_attn_implementation("eager")
        dense = model(
            input_ids=ids, attention_mask=additive[None, None], position_ids=positions
        ).logits
    difference = (ours.log_softmax(-1) - dense.log_softmax(-1)).abs().max()
    assert difference < 1e-5
