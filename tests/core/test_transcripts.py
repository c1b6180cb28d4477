"""Timed transcripts: three formats, one result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adasr_trl.core.decoding import read_text
from adasr_trl.core.errors import UserError
from adasr_trl.core.transcripts import (
    Segment,
    TranscriptError,
    ends_chunk,
    in_order,
    read_transcript,
    spaced,
)

SRT = "1\n00:00:00,500 --> 00:00:02,000\nGood <i>morning</i>.\n\n2\n00:00:02,000 --> 01:01:05,250\nThe exam is\non Friday.\n"
VTT = (
    "WEBVTT\n\nNOTE from a talk\n\n00:00.500 --> 00:02.000 align:start\n<v Ann>Good morning.\n\n"
    "intro\n00:02.000 --> 01:01:05.250\nThe exam is\non Friday.\n"
)
WHISPER = json.dumps(
    {
        "text": " Good morning. The exam is on Friday.",
        "segments": [
            {"id": 0, "start": 0.5, "end": 2, "text": " Good morning."},
            {"id": 1, "start": 2.0, "end": 3665.25, "text": " The exam is on Friday."},
            {"id": 2, "start": 3666.0, "end": 3667.0, "text": " "},
        ],
    }
)


@pytest.mark.parametrize(
    "text", [SRT, SRT.replace("\n", "\r\n"), WHISPER], ids=["srt", "crlf", "json"]
)
def test_every_format_says_what_was_said_and_when(text):
    found = read_transcript(text)
    assert [each.end_seconds for each in found] == [2.0, 3665.25]
    assert [each.text.strip() for each in found] == ["Good morning.", "The exam is on Friday."]


def test_webvtt_has_settings_voices_and_times_without_hours():
    first, second = read_transcript(VTT)
    assert first == Segment(2.0, "Good morning.", 0.5)
    assert second == Segment(3665.25, "The exam is on Friday.", 2.0)


def test_a_bare_list_of_segments_is_read_too():
    assert read_transcript('[{"end": 1.5, "text": "Hi."}]') == (Segment(1.5, "Hi."),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Just a story.", "holds no caption times"),
        ("{", "is no JSON"),
        ('{"text": "Hi"}', "has no list of segments"),
        ('{"segments": [{"end": "2", "text": "Hi"}]}', r"segments\[0\]: end is '2'"),
        ('{"segments": [{"end": NaN, "text": "Hi"}]}', r"segments\[0\]: end is nan"),
        ('{"segments": [{"end": -1, "text": "Hi"}]}', r"segments\[0\]: end is -1"),
        ('{"segments": [{"end": 1, "text": "Hi"}, 7]}', r"segments\[1\]: text is None"),
        ('{"segments": [{"end": 1, "text": null}]}', r"segments\[0\]: text is None"),
        ('{"segments": [{"end": 1, "text": " "}]}', "no segment with text"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_transcript_is_refused_with_its_place(text, words):
    with pytest.raises(TranscriptError, match=words):
        read_transcript(text)


def test_times_that_go_back_are_set_to_the_latest():
    given = (Segment(3.0, "a"), Segment(1.0, "b"), Segment(4.0, "c"))
    assert [each.end_seconds for each in in_order(given)] == [3.0, 3.0, 4.0]


def test_texts_are_set_apart_by_one_space_at_least():
    assert spaced(["a", "b", " c", "d\n", "e"]) == ("a", " b", " c", " d\n", "e")


CASES = Path(__file__).parent / "cases" / "transcripts"
READ = {  # file: (end, text) of each segment
    "number-line.vtt": [(2.0, "The total is 25"), (3.0, "That is all.")],
    "number-inside.srt": [(2.0, "How many?"), (3.0, "12"), (4.0, "Yes.")],
    "rolling.vtt": [(0.3, "Tom has 5 coins."), (0.5, "Tom finds 3 more.")],
    "note.vtt": [(2.0, "Tom has 5 coins."), (3.0, "Tom finds 3 more.")],
    "less-than.srt": [(2.0, "if x < 5 and y > 3 then Tom wins")],
    "entities.vtt": [(2.0, "Tom & Ann have <5> coins")],
    "seconds.srt": [(24.0, "Tom has 5 coins."), (27.0, "He finds 3.")],
    "cut-off.srt": [(2.0, "Tom has 5 coins.")],
    "pipeline-chunks.json": [(2.0, "Tom has 5."), (3.2, "Ann has 3.")],
    "null-end.json": [(2.0, "Tom has 5."), (3.2, "Ann has 3.")],
    "unpunctuated.srt": [
        (0.4, "so tom has five coins"),
        (0.8, "and then he finds three more"),
        (1.2, "how many does he have now"),
    ],
}


@pytest.mark.parametrize("name", READ)
def test_transcripts_made_by_others_are_read_cue_by_cue(name):
    segments = read_transcript(read_text(CASES / name))
    assert [(round(s.end_seconds, 3), s.text.strip()) for s in segments] == READ[name]


def test_bytes_that_are_no_text_are_refused_with_their_offset_or_read_by_name():
    with pytest.raises(UserError, match=r"byte 0xe8 at offset 42 is not UTF-8 text.*--encoding"):
        read_text(CASES / "latin-1.srt")
    (segment,) = read_transcript(read_text(CASES / "latin-1.srt", "latin-1"))
    assert segment.text == "Tom a 5 pièces à côté."


RECOGNISERS = {
    "whisper.cpp": {"transcription": [{"offsets": {"from": 0, "to": 2000}, "text": " Tom has 5."}]},
    "openai": {
        "task": "transcribe",
        "segments": [{"start": 0.0, "end": 2.0, "text": " Tom has 5."}],
    },
    "transformers": {"text": "", "chunks": [{"timestamp": [0.0, 2.0], "text": " Tom has 5."}]},
    "start and duration": [{"text": "Tom has 5.", "start": 0.5, "duration": 1.5}],
    "youtube": {"events": [{"tStartMs": 0, "dDurationMs": 2000, "segs": [{"utf8": "Tom has 5."}]}]},
}


@pytest.mark.parametrize("name", RECOGNISERS)
def test_the_json_of_common_recognisers_is_read(name):
    (segment,) = read_transcript(json.dumps(RECOGNISERS[name]))
    assert (segment.end_seconds, segment.text.strip()) == (2.0, "Tom has 5.")


def test_lists_of_words_are_read_word_by_word():
    words = [{"word": "Tom", "start": 0.1, "end": 0.4}, {"word": "has", "start": 0.4, "end": 0.6}]
    for given in (words, {"result": words}, {"words": words}):
        assert [s.text for s in read_transcript(json.dumps(given))] == ["Tom", "has"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n00:00:01,000 --> 00:00:0x,000\nHi.\n", "line 2: .* is no time line"),
        ("1\n00:00:01,000 -> 00:00:02,000\nHi.\n", "holds no caption times"),
        ("1\n00:00:03,000 --> 00:00:02,000\nHi.\n", "line 2: ends before it begins"),
        ("WEBVTT\n\nlost words\n", "line 3: 'lost words' stands outside of a cue"),
    ],
)
def test_a_broken_caption_is_refused_by_its_line(text, message):
    with pytest.raises(TranscriptError, match=message):
        read_transcript(text)


def test_cues_out_of_order_are_sorted():
    text = "2\n00:00:03 --> 00:00:04\nTwo.\n\n1\n00:00:01 --> 00:00:02\nOne.\n"
    assert [s.text for s in read_transcript(text)] == ["One.", "Two."]


def test_a_caption_that_says_the_same_again_is_kept():
    text = "".join(
        f"{i}\n00:00:0{i} --> 00:00:0{i + 1}\n{w}\n\n" for i, w in enumerate(["No.", "No.", "Yes."])
    )
    assert [s.text for s in read_transcript(text)] == ["No.", "No.", "Yes."]


@pytest.mark.parametrize(
    ("segments", "ends"),
    [
        (
            [
                Segment(1.0, "Tom has", 0.0),
                Segment(2.0, "5 hens.", 1.0),
                Segment(3.0, "He buys 3.", 2.0),
            ],
            [False, False, False],
        ),
        (
            [
                Segment(1.0, "Tom has", 0.0),
                Segment(3.5, "5 hens.", 2.5),
                Segment(4.0, "He buys 3.", 3.5),
            ],
            [True, False, False],
        ),
        ([Segment(1.0, "tom has five"), Segment(2.0, "he buys three")], [True, True]),
    ],
    ids=["sentences", "pause", "no punctuation"],
)
def test_a_chunk_ends_at_a_pause_and_with_each_segment_of_speech_without_stops(segments, ends):
    assert list(ends_chunk(segments)) == ends


def srt(*cues):
    """Cues of a second each, one behind another."""
    return "\n".join(
        f"{n + 1}\n00:00:{n:02},000 --> 00:00:{n + 1:02},000\n{text}\n"
        for n, text in enumerate(cues)
    )


VTT_HEAD = "00:01.000 --> 00:02.000\nTom has 5.\n"
FOUND = {  # captions as public reports tell of them, in words of our own
    "a blank line below the times": (f"WEBVTT\n\n{VTT_HEAD}".replace("000\nTom", "000\n\nTom"), ["Tom has 5."]),
    "no blank line below the head": (f"WEBVTT\n{VTT_HEAD}\n00:03.000 --> 00:04.000\nBye.\n", ["Tom has 5.", "Bye."]),
    "metadata in the head": (f"WEBVTT - talk\nKind: captions\n{VTT_HEAD}", ["Tom has 5."]),
    "no blank line between cues": (f"WEBVTT\n\n{VTT_HEAD}00:02.000 --> 00:03.000\nBye.\n", ["Tom has 5.", "Bye."]),
    "a cue without text": ("WEBVTT\n\n00:01.000 --> 00:02.000\n\n00:03.000 --> 00:04.000\nBye.\n", ["Bye."]),
    "an arrow in a note": (f"WEBVTT\n\nNOTE as 00:01.000 --> 00:02.000\nsecret\n\n{VTT_HEAD}", ["Tom has 5."]),
    "pieces of an HLS stream": (f"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:9\n\n1\n{VTT_HEAD}\n" * 2 + "WEBVTT\n\n00:03.000 --> 00:04.000\nBye.\n", ["Tom has 5.", "Bye."]),
    "a link": (srt("<a href='x'>Tom</a> has <A HREF=y>5</A>", "if a <b"), ["Tom has 5", "if a <b"]),
    "silence of whisper.cpp": (srt("[BLANK_AUDIO]", "Tom has [5].", " [blank_audio]"), ["Tom has [5]."]),
    "tokens in Whisper's table": ("start\tend\ttext\n0\t2000\t<|0.00|>Tom has 5.\n", ["Tom has 5."]),
    "styles and regions": (f"WEBVTT\n\nSTYLE\n::cue {{ color: red }}\n\nREGION\nid:a\n\n{VTT_HEAD}", ["Tom has 5."]),
    "short times": ("1\n0:0:0,5 --> 0:0:2,25\nTom has 5.\n", ["Tom has 5."]),
    "a space on the blank line": (srt("Tom has 5.", "Bye.").replace("\n\n", "\n \n"), ["Tom has 5.", "Bye."]),
    "numbers without texts": ("18\n00:00:01 --> 00:00:02\nthe\n\n19\n00:00:02 --> 00:00:03\n20\n00:00:03 --> 00:00:04\nhen\n", ["the", "hen"]),
    "a time in speech": (srt("Meet at 10:00:00,000 to 11:00:00,000."), ["Meet at 10:00:00,000 to 11:00:00,000."]),
    "words in angle brackets": (srt("<70 years ago>", "if a <b and c> d", "<i>so</i>"), ["<70 years ago>", "if a <b and c> d", "so"]),
    "words in braces": (srt("The set {5, 3} {sic}"), ["The set {5, 3} {sic}"]),
    "commands of ASS": (srt(r"{\an8}{\i1}Tom{\i0} {\pos(1,2)}has\N5"), ["Tom has 5"]),
    "rolling words": (srt("Tom has five", "Tom has five eggs and Ann", "eggs and Ann has three"), ["Tom has five", "eggs and Ann", "has three"]),
    "no space of any width": (srt("Tom\u200b has 5\ufeff"), ["Tom has 5"]),
    "two line ends for one": (srt("Tom has 5.", "Bye.").replace("\n", "\r\r\n"), ["Tom has 5.", "Bye."]),
    "blank lines between all": (srt("Tom has 5.", "7", "Bye.").replace("\n", "\n\n"), ["Tom has 5.", "7", "Bye."]),
    "numbers from 0, blank lines": (srt("Hi.", "Bye.").replace("1\n00", "0\n00").replace("2\n00", "1\n00").replace("\n", "\n\n"), ["Hi.", "Bye."]),
    "a number behind the last cue": (srt("Tom has", "5") + "\n3\n", ["Tom has", "5"]),
    "another number at the end": (srt("Tom has", "5\n\n7"), ["Tom has", "5 7"]),
    "numbers behind a hash": ("#1\n00:00:00,000 --> 00:00:01,000\nHi.\n\n#2\n00:00:01,000 --> 00:00:02,000\nBye.\n", ["Hi.", "Bye."]),
    "marks of direction": (srt("\u202bTom has 5.\u202c"), ["Tom has 5."]),
    "an end of file of DOS": (srt("Tom has 5.") + "\x1a", ["Tom has 5."]),
    "readings beside letters": ("WEBVTT\n\n00:01.000 --> 00:02.000\n<ruby>漢<rt>kan</rt>字<rt>ji</ruby>です\n", ["漢字です"]),
    "blank lines above the head": (f"\n \n\ufeffWEBVTT\n\n{VTT_HEAD}\nNOTE secret\n", ["Tom has 5."]),
    "a head in small letters": (f" webvtt - talk\n\n{VTT_HEAD}\nREGION\nid:a\n", ["Tom has 5."]),
    "speech that begins as a note": (srt("\n\nNOTE it", "NOTE\nSTYLE"), ["NOTE it", "NOTE STYLE"]),
    "Whisper's lines behind a mark": ("\ufeff[00:00.000 --> 00:02.000]  Tom has 5.\n", ["Tom has 5."]),
    "Whisper's table": ("start\tend\ttext\n0\t2000\tTom has 5.\n2000\t4000\tBye.\n", ["Tom has 5.", "Bye."]),
    "Whisper's lines": ("[00:00.000 --> 00:02.000]  Tom has 5.\n[00:02.000 --> 00:04.000]  Bye.\n", ["Tom has 5.", "Bye."]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_captions_of_other_tools_are_read_without_loss(name):
    text, words = FOUND[name]
    assert [s.text for s in read_transcript(text)] == words


def moved(*said):
    """Lines that rise: each in two captions, the second of 10 ms without what is above it."""
    cues = []
    for n, (above, line) in enumerate(zip((" ", *said), said, strict=False)):
        cues.append(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},990\n{above}\n{line}\n")
        cues.append(f"{n}\n00:00:{n:02},990 --> 00:00:{n + 1:02},000\n{line}\n \n")
    return cues


@pytest.mark.parametrize("said", [["tom has five", "he buys", "ann left"], ["a", "b"]])
@pytest.mark.parametrize("without", [0, 1])
def test_lines_that_rise_are_read_once_however_many_captions_there_are(said, without):
    cues = moved(*said)
    text = "\n".join(cues[: len(cues) - without])
    assert [s.text for s in read_transcript(text)] == said


ROLLING = [
    (("he naps", "he naps", "he naps\nso long", "so long", "so long\nbye now"), "he naps/so long/bye now"),
    (("One", "One\nTwo", "Two\nThree"), "One/Two/Three"),
    (("Tom", "Tom has", "Tom has five"), "Tom/has/five"),
]  # fmt: skip
SAID_TWICE = [
    ("No.", "No.", "Yes."),
    ("No.", "No.\nYes.", "Bye."),
    ("Who?", "No.", "No.", "No.\nNo.", "No."),
    ("No.", "No.", "No.\nWhat?", "What?\nNothing.", "Bye."),
    ("I said no.", "I said no.", "I said no.\nGo.", "Bye."),
]


@pytest.mark.parametrize(("cues", "words"), ROLLING)
def test_captions_that_go_on_are_read_once(cues, words):
    assert [s.text for s in read_transcript(srt(*cues))] == words.split("/")


@pytest.mark.parametrize("cues", SAID_TWICE)
def test_captions_that_say_a_line_twice_keep_it(cues):
    assert [s.text for s in read_transcript(srt(*cues))] == [" ".join(c.split()) for c in cues]


def test_a_line_that_stands_again_after_a_pause_was_said_again():
    again = "9\n00:00:07,000 --> 00:00:08,000\nhe buys\n"
    text = "\n".join((*moved("tom has five", "he buys"), again))
    assert [s.text for s in read_transcript(text)] == ["tom has five", "he buys", "he buys"]


def test_an_animated_caption_is_read_once():
    twice = "WEBVTT\n\n" + "00:00.000 --> 00:01.000\nTom has 5\n\n" * 2
    again = "00:01.000 --> 00:02.000\neggs.\n\n00:02.000 --> 00:03.000\neggs.\n"
    assert read_transcript(twice + again) == (
        Segment(1.0, "Tom has 5", 0.0),
        Segment(3.0, "eggs.", 1.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (srt("One.", "Two.").replace("01,000 --> 00:00:02", "01,000 -> 00:00:02"), "line 6: .* is no time"),
        (srt("One.", "Two.").replace("01,000 --> 00:00:02", "01,000 → 00:00:02"), "line 6: .* is no time"),
        (srt("One.", "Two.").replace("01,000 --> 00:00:02", "01x,000 --> 00:00:02"), "line 6: .* is no time"),
        (srt("One.").replace("00:00:00", "-00:00:00"), "line 2: .* is no time line"),
        (f"WEBVTT\n\n{VTT_HEAD}\nUPDATE:N\n", "line 6: 'UPDATE:N' stands outside"),
        ("WEBVTT\n\n", "holds no caption times"),
        (f"1\nTom has 9.\n\n2\n{VTT_HEAD}", "line 2: 'Tom has 9.' stands outside of a cue; .* begin a WebVTT file"),
        (f"9\n\n2\n{VTT_HEAD}", "line 1: '9' stands outside"),
        (f"intro\n{VTT_HEAD}", "line 1: 'intro' stands outside"),
        (f"{VTT_HEAD}\nNOTE secret\n", "line 4: 'NOTE secret' stands outside"),
        (f"WEBVTT\n\n00:03.000 --> 00:04.000\nBye.\n\nWEBVTT\n\n{VTT_HEAD}", "line 6: times begin anew; these are two files"),
        ("".join(f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{n}\n\n0{n}:00.000 --> 0{n}:01.000\nHi.\n\n" for n in (1, 2)), "line 7: times begin anew"),
        (f"WEBVTT\n\n{VTT_HEAD}\nWEBVTT is a format\n", "line 6: .* stands outside"),
        ("[00:00.000 --> 00:02.000] Hi.\nlost\n", "line 2: 'lost' has no times in brackets"),
        ("{1}{25}Tom has 5.\n", "is a MicroDVD or MPL2 file; convert it to SRT"),
        (srt("One.", "Two.") + srt("Three."), "line 9: numbers and times begin anew"),
    ],
)  # fmt: skip
def test_no_broken_line_of_times_becomes_speech(text, message):
    with pytest.raises(TranscriptError, match=message):
        read_transcript(text)


FOREIGN = {
    "[Script Info]\nTitle: x\n": "a script of SSA or ASS",
    "[V4+ Styles]\nFormat: Name\n": "a script of SSA or ASS",
    "[00:00.50]Tom has 5.\n[00:01.60]Bye.\n": "lyrics",
    "[INFORMATION]\n[TITLE]x\n": "a SubViewer file",
    "0:00:00.500,0:00:01.500\nTom has 5.\n": "SBV",
    '<?xml version="1.0"?><tt></tt>': "XML",
    "Scenarist_SCC V1.0\n": "SCC",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_other_formats_are_refused_by_name_with_a_way_to_srt(text):
    with pytest.raises(TranscriptError, match=f"{FOREIGN[text]}.*convert it to SRT"):
        read_transcript(text)


def test_a_broken_row_of_whispers_table_is_named():
    with pytest.raises(TranscriptError, match=r"line 3: .*expected START, END and TEXT"):
        read_transcript("start\tend\ttext\n0\t10\tHi.\n20\tBye.\n")
