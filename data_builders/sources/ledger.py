"""The ledger: generated stories of one person's things, with exact answers and traces.

    adasr data ledger --train-count 20000 --test-count 500 --seed 0 --out data/tiny

    How many coins does Tom have now?
    Tom has 5 coins. Ann finds three coins. He buys 3 more at the market. Sorry, it was 2, not 3.

One seed decides everything, and no story is told twice. Distractors (other people, other things, the weather) need no
thought. In a share of the episodes (``--deep-share``) a last sentence says what to do with the count, so they need deep
work. A share of the events (``--corrections``) has a wrong number, corrected by a later sentence. Stories told untidily
(``--untidy``) lack capitals, stops or line breaks. Where nobody can know the count (``--unknown``: "some coins", a verb
that does not exist, things that the story never tells of) the thought and the answer are ``unknown``. Half of the test
stories have a person whose name no training story has (tag ``new name``). Some stories are about things at a place ("20
cookies are in the jar"), from which anybody may take; some end with their question, as pasted texts do.

Traces come in three styles: eager (each event is worked out at once), lazy (events are only noted, the deep part does the
work) and redundant (eager, and the deep part does all of it again). With ``--chatter`` some distractors get a redundant
thought. A style that is common and invisible in the input makes the deep part's first token a coin toss, which greedy
decoding turns into a rule; so redundant is rare by default. ``--wording turned`` is another word order, for tests.

With ``--correction-delay K`` each test story is told K + 2 times: without a correction, and with one fact corrected after
0 to K sentences (``ledger_corrections``; tags ``delay none``, ``delay 0``, ...). Training stories stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.sentences import sentence_chunks
from data_builders.errors import BuildError
from data_builders.rows.inputs import numbers
from data_builders.rows.options import add_number, check_number
from data_builders.rows.row import Row, Rows
from data_builders.sources.ledger_corrections import agrees, versions
from data_builders.sources.ledger_story import NO_CHANGE, UNKNOWN, Sentence, Story, draw_story

NAME = "ledger"
SUMMARY = "stories in which things change hands, procedural, with exact traces"
LICENCE = "Apache-2.0"
REVISION = "4"

_MOST_ATTEMPTS = 2000  # stories drawn for one that is new, and can be told with a late correction

STYLES = ("eager", "lazy", "redundant")
_LOOSE_ENDS = (
    ", ",
    "; ",
    " and ",
    "! ",
    "!\n",
    ".\n",
    ".\n\n",
    ".  ",
    " - ",
    "... ",
    "\n",
    ", then ",
    " , ",
)

_COUNTS = (  # name, default, lowest value, help
    ("train_count", 20000, 1, "training episodes"),
    ("test_count", 500, 0, "test episodes"),
    ("min_events", 3, 0, "fewest changes of the count"),
    ("max_events", 6, 0, "most changes of the count"),
    ("min_others", 2, 0, "fewest distractors"),
    ("max_others", 4, 0, "most distractors"),
    ("max_count", 20, 2, "no count ever exceeds it"),
    ("max_change", 6, 1, "most things in one event"),
    ("max_deep_steps", 2, 1, "steps that the end asks for"),
)
_SHARES = (  # name, default, help
    ("corrections", 0.0, "share of events whose number is corrected later"),
    ("chatter", 0.0, "share of distractors with a redundant thought"),
    ("deep_share", 0.4, "share that needs deep work"),
    ("untidy", 0.3, "share told without capitals, stops or in lines"),
    ("unknown", 0.08, "share in which nobody can know the count"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The ledger's difficulty knobs."""
    for name, count, _, what in _COUNTS:
        add_number(parser, name, count, what)
    for name, share, what in _SHARES:
        add_number(parser, name, share, what)
    parser.add_argument("--wording", default="plain", help="plain, or turned: another word order")
    styles = "eager:8,lazy:1,redundant:1"
    parser.add_argument("--styles", default=styles, help="weights of the trace styles")
    what = "tell each test story without a correction, and with one after 0 to K sentences"
    parser.add_argument("--correction-delay", type=int, metavar="K", help=what)
    add_number(parser, "seed", 0, "seed of everything that is drawn")


def open_rows(_options: argparse.Namespace) -> Rows:
    """One row for all stories: each is compared with those before it."""
    return numbers(NAME, 1)


def build_row(_row: Row, options: argparse.Namespace) -> Iterator[Episode]:
    """All stories."""
    return build(options)


def build(options: argparse.Namespace) -> Iterator[Episode]:
    """Test episodes, then train episodes; no story is told twice."""
    _check(options)
    seen: set[tuple[str, ...]] = set()
    for split, count in (("test", options.test_count), ("train", options.train_count)):
        made, attempt = 0, 0
        while made < count:
            key = f"{options.seed}/{split}/{attempt}"
            attempt += 1
            told = _tellings(key, options, f"{NAME}-{split}-{made}", split)
            if told and told[0].chunks not in seen:
                seen.add(told[0].chunks)
                made += 1
                yield from told
            elif attempt > _MOST_ATTEMPTS * (made + 1):
                raise BuildError(_too_few(options, split, attempt, made))


def _too_few(options: argparse.Namespace, split: str, attempt: int, made: int) -> str:
    if options.correction_delay is not None and split == "test":
        return (
            f"--correction-delay: of {attempt} stories only {made} can be told with a correction so late; ask for more events "
            f"or a shorter delay."
        )
    return (
        f"--{split}-count: of {attempt} stories only {made} differ; ask for fewer, or for more events, others or a higher "
        f"--max-count."
    )


def _check(options: argparse.Namespace) -> None:
    """Refuse knobs that no story can have."""
    for name, _, lowest, _ in _COUNTS:
        check_number(options, name, lowest)
    for name in ("events", "others"):
        check_number(options, f"max_{name}", vars(options)[f"min_{name}"])
    for name, _, _ in _SHARES:
        check_number(options, name, 0, 1)
    if options.wording not in ("plain", "turned"):
        raise BuildError(f"--wording: got {options.wording!r}; expected plain or turned.")
    _weights(options.styles)
    if options.correction_delay is not None:
        check_number(options, "correction_delay", 0, options.max_events + options.max_others - 1)
        for name in ("untidy", "corrections", "unknown"):
            if vars(options)[name]:
                raise BuildError(
                    f"--{name}: got {vars(options)[name]:g} with --correction-delay, whose stories differ in one corrected "
                    f"number alone; expected 0."
                )


def _tellings(key: str, options: argparse.Namespace, name: str, split: str) -> list[Episode]:
    """The story's episode, or one for each version of a late correction; empty where a version cannot be told."""
    story = draw_story(key, options, split)
    weights = _weights(options.styles)
    style = story.trace_rng.choices(list(weights), list(weights.values()))[0]
    if options.correction_delay is None or split != "test":
        return [_episode(story, style, name, split)]
    told = []
    for version in versions(story, key, options.correction_delay):
        episode = _episode(version, style, name, split)
        if not agrees(version, episode.question, episode.chunks):
            return []
        told.append(replace(episode, id=f"{name}-{version.tags[-1].replace(' ', '-')}"))
    return told


def _episode(story: Story, style: str, name: str, split: str) -> Episode:
    thoughts, deep = _trace(story, style)
    chunks, groups = _chunked(story)
    is_known = story.count is not None
    return Episode(
        id=name,
        group=name,
        question=_asked(story),
        chunks=chunks,
        answer=str(story.count) if is_known else UNKNOWN,
        answer_type=AnswerType.NUMBER if is_known else AnswerType.CHOICE,
        source=Source(NAME, REVISION, LICENCE, split),
        thoughts=tuple(_joined(thoughts[n] for n in group) for group in groups),
        deep=deep,
        tags=story.tags,
    )


def _chunked(story: Story) -> tuple[tuple[str, ...], list[list[int]]]:
    """The text cut as a live one, and the sentences of each chunk: one without its stop joins the next."""
    text, ends = _text(story)
    chunks = sentence_chunks(text)
    groups: list[list[int]] = [[] for _ in chunks]
    number, end = 0, len(chunks[0])
    for sentence, sentence_end in enumerate(ends):
        while sentence_end > end:
            number += 1
            end += len(chunks[number])
        groups[number].append(sentence)
    return chunks, groups


def _text(story: Story) -> tuple[str, list[int]]:
    """The story's text, and where in it each sentence ends."""
    rng, text, ends = story.rng, "", []
    is_untidy = rng.random() < story.options.untidy
    is_joined = False
    for number, sentence in enumerate(story.sentences):
        is_last = number == len(story.sentences) - 1
        is_asked_next = number == len(story.sentences) - 2 and "deep" in story.tags
        stop = "" if sentence.text.endswith("?") else "."
        text += sentence.text if is_joined else _capital(sentence.text)
        ends.append(len(text))
        gap = f"{stop} "
        if is_last:
            gap = rng.choice(("", stop)) if is_untidy else stop
        elif is_untidy and not is_joined and not is_asked_next and rng.random() < 0.5:
            gap = rng.choice(_LOOSE_ENDS)
        is_joined = gap[:1] not in (".", "!", "?", "") and gap != " "
        text += gap
    return (text.lower() if is_untidy and rng.random() < 0.5 else text), ends


def _asked(story: Story) -> str:
    """The question, without its sign or capitals now and then."""
    question = _capital(story.question)
    if story.rng.random() < story.options.untidy:
        return question.lower().rstrip("?") if story.rng.random() < 0.5 else question.lower()
    return question


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _weights(styles: str) -> dict[str, float]:
    """``eager:2,lazy:1`` as a table."""
    try:
        pairs = (pair.split(":") for pair in styles.split(","))
        weights = {name: float(weight) for name, weight in pairs}
    except ValueError:
        weights = {}
    if not set(weights) <= set(STYLES) or sum(weights.values()) <= 0 or min(weights.values()) < 0:
        expected = f"weights such as 'eager:2,lazy:1' of {', '.join(STYLES)}"
        raise BuildError(f"--styles: got {styles!r}; expected {expected}.")
    return weights


def _trace(story: Story, style: str) -> tuple[list[str], str]:
    """Thoughts and deep reasoning in one style."""
    sentences, deep = story.sentences, _joined(story.deep)
    all_steps = _joined([*(step for sentence in sentences for step in sentence.steps), deep])
    if style == "lazy":
        return [_thought(sentence, sentence.notes) for sentence in sentences], all_steps
    thoughts = [_thought(sentence, sentence.steps) for sentence in sentences]
    return thoughts, all_steps if style == "redundant" else deep


def _thought(sentence: Sentence, parts: tuple[str, ...]) -> str:
    return _joined(parts) or sentence.redundant


def _joined(parts: Iterable[str]) -> str:
    """Steps in their order; an unknown count is said once, and no redundant thought beside a step."""
    said = list(dict.fromkeys(filter(None, parts)))
    return " ; ".join([part for part in said if part != NO_CHANGE] or said)
