"""The JSON of speech recognisers, each in its own form: words and times in seconds."""

from __future__ import annotations

import contextlib
import json

import pytest

from adasr_trl.core.transcripts import TranscriptError, read_transcript, recognised_segments

TOM = {"start": 0.5, "end": 0.9}
SLEEPS = {"start": 0.9, "end": 1.5}


WORDS = [{"word": "Tom", **TOM}, {"word": "sleeps.", **SLEEPS}]
IN_WORDS = {
    "whisperX": {"segments": [], "word_segments": WORDS},
    "OpenAI without segments": {"task": "transcribe", "segments": [], "words": WORDS},
    "Vosk with alternatives": {"alternatives": [{"text": "Tom sleeps.", "result": WORDS}]},
    "Deepgram": {
        "results": {
            "channels": [
                {
                    "alternatives": [
                        {
                            "transcript": "Tom sleeps.",
                            "words": [
                                {"word": "tom", "punctuated_word": "Tom", **TOM},
                                {"word": "sleeps", "punctuated_word": "sleeps.", **SLEEPS},
                            ],
                        },
                        {"transcript": "Tim sleeps.", "words": []},
                    ]
                }
            ]
        }
    },
    "Google": {
        "results": [
            {
                "alternatives": [
                    {
                        "transcript": "Tom sleeps.",
                        "words": [
                            {"word": "Tom", "startTime": "0.500s", "endTime": "0.900s"},
                            {"word": "sleeps.", "startTime": "0.900s", "endTime": "1.5s"},
                        ],
                    }
                ],
                "resultEndTime": "1.5s",
            }
        ]
    },
    "AWS Transcribe": {
        "results": {
            "transcripts": [{"transcript": "Tom sleeps."}],
            "items": [
                {"start_time": "0.5", "end_time": "0.9", "alternatives": [{"content": "Tom"}]},
                {"start_time": "0.9", "end_time": "1.5", "alternatives": [{"content": "sleeps"}]},
                {"type": "punctuation", "alternatives": [{"content": "."}]},
            ],
        }
    },
    "Rev": {
        "monologues": [
            {
                "speaker": 0,
                "elements": [
                    {"type": "text", "value": "Tom", "ts": 0.5, "end_ts": 0.9},
                    {"type": "punct", "value": " "},
                    {"type": "text", "value": "sleeps", "ts": 0.9, "end_ts": 1.5},
                    {"type": "punct", "value": "."},
                ],
            }
        ]
    },
    "Watson": {
        "results": [{"alternatives": [{"timestamps": [["Tom", 0.5, 0.9], ["sleeps.", 0.9, 1.5]]}]}]
    },
    "AssemblyAI": {
        "audio_duration": 2,
        "words": [
            {"text": "Tom", "start": 500, "end": 900},
            {"text": "sleeps.", "start": 900, "end": 1500},
        ],
    },
    "ElevenLabs": {
        "words": [
            {"text": "Tom", "type": "word", **TOM},
            {"text": " ", "type": "spacing", "start": 0.9, "end": 0.9},
            {"text": "sleeps.", "type": "word", **SLEEPS},
        ]
    },
    "Premiere": {
        "segments": [
            {
                "start": 0.5,
                "duration": 1.0,
                "words": [
                    {"text": "Tom", "start": 0.5, "duration": 0.4, "type": "word"},
                    {"text": "sleeps", "start": 0.9, "duration": 0.6, "type": "word"},
                    {"text": ".", "start": 1.5, "duration": 0.0, "type": "punctuation"},
                ],
            }
        ]
    },
    "Recall": [
        {
            "participant": {"name": "Ann"},
            "words": [
                {
                    "text": "Tom",
                    "start_timestamp": {"relative": 0.5, "absolute": "2025-01-01T00:00:00Z"},
                    "end_timestamp": {"relative": 0.9},
                },
                {"text": "sleeps.", "start_timestamp": 0.9, "end_timestamp": 1.5},
            ],
        }
    ],
    "milliseconds by their names": [
        {"text": "Tom", "startMs": 500, "endMs": 900},
        {"text": "sleeps.", "start_ms": 900, "end_ms": 1500},
    ],
}


@pytest.mark.parametrize("name", IN_WORDS)
def test_words_are_read_with_their_times(name):
    segments = read_transcript(json.dumps(IN_WORDS[name]))
    assert [(s.text.strip(), s.start_seconds, s.end_seconds) for s in segments] == [
        ("Tom", 0.5, 0.9),
        ("sleeps.", 0.9, 1.5),
    ]


IN_SEGMENTS = {
    "Deepgram": {"results": {"channels": [], "utterances": [{"transcript": "Tom sleeps.", "start": 0.5, "end": 1.5}]}},
    "AssemblyAI": {"audio_duration": 2, "words": [], "utterances": [{"text": "Tom sleeps.", "start": 500, "end": 1500}]},
    "AWS": {"results": {"items": [], "audio_segments": [{"transcript": "Tom sleeps.", "start_time": "0.5", "end_time": "1.5"}]}},
    "Azure batch": {
        "recognizedPhrases": [
            {"offsetInTicks": 5000000, "durationInTicks": 10000000, "nBest": [{"display": "Tom sleeps."}]},
            {"offsetInTicks": 20000000, "durationInTicks": 0, "nBest": [{"confidence": 0, "display": ""}]},
        ]
    },
    "Azure fast": {"phrases": [{"offsetMilliseconds": 500, "durationMilliseconds": 1000, "text": "Tom sleeps."}]},
    "Azure phrase": {"Offset": 5000000, "Duration": 10000000, "DisplayText": "Tom sleeps."},
    "NeMo": {"text": "Tom sleeps.", "timestamp": {"word": WORDS, "segment": [{"segment": "Tom sleeps.", "start": 0.5, "end": 1.5}]}},
    "Azure live": {"RecognitionStatus": "Success", "Offset": 5000000, "Duration": 10000000, "NBest": [{"Display": "Tom sleeps.", "Lexical": "tom sleeps"}]},
    "Google's protocol": {"results": [{"alternatives": [{"transcript": "x", "words": [{"word": "Tom sleeps.", "startTime": {"nanos": 500000000}, "endTime": {"seconds": "1", "nanos": 500000000}}]}]}]},
    "Google v2": {"results": [{"alternatives": [{"words": [{"word": "Tom sleeps.", "startOffset": "0.500s", "endOffset": "1.500s"}]}]}]},
    "Google video": {"annotationResults": [{"speechTranscriptions": [{"alternatives": [{"words": [{"word": "Tom sleeps.", "startTime": "0.5s", "endTime": "1.5s"}]}]}]}]},
    "youtube-transcript-api": {"video_id": "x", "snippets": [{"text": "Tom sleeps.", "start": 0.5, "duration": 1.0}]},
    "Google's zero": {"results": [{"alternatives": [{"words": [{"word": "", "startTime": {}, "endTime": {"nanos": 500000000}}, {"word": "Tom sleeps.", "startTime": {"nanos": 500000000}, "endTime": {"seconds": 1, "nanos": 500000000}}]}]}]},
    "Azure's durations": {"recognizedPhrases": [{"duration": "PT1S", "offsetInTicks": 5000000, "durationInTicks": 10000000, "nBest": [{"display": "Tom sleeps."}]}]},
    "Teams": {"type": "Transcript", "entries": [{"speakerDisplayName": "Ann", "startOffset": "00:00:00.5000000", "endOffset": "00:00:01.5", "text": "Tom sleeps."}]},
    "one segment alone": {"start": 0.5, "end": 1.5, "text": "Tom sleeps."},
    "Fireflies": [{"sentence": "Tom sleeps.", "startTime": "00:00.5", "endTime": "00:01.5"}],
    "Whisper's tokens": [{"start": 0.5, "end": 1.5, "text": "<|0.50|> Tom sleeps.<|1.50|><|endoftext|>"}],
    "SenseVoice's tokens": [{"start": 0.5, "end": 1.5, "text": "<|en|><|NEUTRAL|><|Speech|><|woitn|>Tom sleeps."}],
    "whisper.cpp's silence": {"transcription": [
        {"offsets": {"from": 0, "to": 500}, "text": " [BLANK_AUDIO]"},
        {"offsets": {"from": 500, "to": 1500}, "text": "[_BEG_] Tom sleeps.[_TT_75]"},
    ]},
    "a clock": {"segments": [{"start": "00:00:00.500", "end": "00:01,500", "text": "Tom sleeps."}]},
    "podcasts": {"segments": [{"speaker": "A", "startTime": 0.5, "endTime": 1.5, "body": "Tom sleeps."}]},
    "twice at once": [{"text": "Tom\u200b sleeps.", "start": 0.5, "duration": 1.0}] * 2,
    "empty neighbours": {"segments": [{"start": 0.0, "end": 0.5, "text": ""}, {"start": 0.5, "end": 1.5, "text": " Tom sleeps."}]},
}  # fmt: skip


@pytest.mark.parametrize("name", IN_SEGMENTS)
def test_segments_are_read_with_their_times(name):
    (segment,) = read_transcript(json.dumps(IN_SEGMENTS[name]))
    assert (segment.text.strip(), segment.start_seconds, segment.end_seconds) == (
        "Tom sleeps.",
        0.5,
        1.5,
    )


def test_an_end_alone_is_enough():
    results = [
        {"alternatives": [{"transcript": text}], "resultEndTime": end}
        for text, end in (("Tom sleeps.", "2.500s"), (" Ann reads.", "4s"))
    ]
    segments = read_transcript(json.dumps({"results": results}))
    assert [(s.text, s.end_seconds) for s in segments] == [
        ("Tom sleeps.", 2.5),
        (" Ann reads.", 4.0),
    ]


def test_words_that_were_not_aligned_end_where_the_next_known_one_begins():
    given = [
        *({"word": "5"}, {"word": "In", "start": 0.4, "end": 0.5}, {"word": "2014"}, {"word": "5"}),
        *({"word": "hens", "start": 0.8, "end": 1.0}, {"word": "left"}, {"word": "7"}),
    ]
    ends = [s.end_seconds for s in read_transcript(json.dumps(given))]
    assert ends == pytest.approx([0.4, 0.5, 0.8, 0.8, 1.0, 1.4, 1.8])


def test_results_one_behind_another_are_one_transcript():
    lines = [json.dumps({"result": [word], "text": word["word"]}) for word in WORDS]
    empty = json.dumps({"text": ""}, indent=1)
    for text in ("\n".join(lines), "".join((*lines, empty))):
        assert [s.text for s in read_transcript(text)] == ["Tom", "sleeps."]


SAID = [{"start": 0, "end": 1, "text": "Tom sleeps."}, {"start": 1, "end": 2, "text": "So?"}]
LINES = {
    "segments": SAID,
    "with a note above": [{"language": "en", "duration": 2.0}, *SAID],
    "with words inside": [{**SAID[0], "words": [{"word": "Tom", "start": 0, "end": 1}]}, SAID[1]],
    "lists": [[SAID[0]], [], [SAID[1]]],
    "silence and guesses": [{"text": ""}, SAID[0], {"partial": "so"}, {"result": [], "text": ""}, SAID[1]],
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_segments_one_a_line_are_one_transcript(name):
    segments = read_transcript("\n".join(map(json.dumps, LINES[name])))
    assert [(s.text, s.end_seconds) for s in segments] == [("Tom sleeps.", 1.0), ("So?", 2.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"Transcript": {"Results": ["Ann left."]}}, "text is None"),
        ({"start": 1, "end": 2, "text": None}, "text is None"),
        ("Ann left.", "text is None"),
        ({"start": {}, "end": 2, "text": "So?"}, "start is {}"),
    ],
)
def test_no_line_of_another_form_vanishes(line, message):
    with pytest.raises(TranscriptError, match=rf"segments\[1\]: {message}"):
        read_transcript(f"{json.dumps(SAID[0])}\n{json.dumps(line)}")
    untimed = f'{json.dumps(SAID[0])}\n{{"text": "Ann left."}}'
    assert [s.text for s in read_transcript(untimed)] == ["Tom sleeps.", "Ann left."]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"start": 19, "stop": 34, "text": "Tom"}], "the unit of 'stop' is unknown"),
        ([{"t0": 50, "t1": 200, "text": "Tom"}], "the unit of 't0' is unknown"),
        ([{"start_sample": 0, "end_sample": 99, "text": "Tom"}], "unit of 'start_sample'"),
        ([{"start": 250, "end": 650, "text": "Tom"}], "400 s a word; .* divide milliseconds"),
        ({"transcription": [{"offsets": {"from": 76670, "to": 8110}, "text": "."}]}, "ends before"),
        ({"segments": [{"start_time": "soon", "end_time": "2", "text": "Tom"}]}, "start_time is 'soon'"),
        ({"words": [{"word": "Tom"}, {"word": "sleeps"}]}, r"words\[0\]: end is None"),
        ({"segments": [{"start": 0.1, "end": 0.5, "confidence": 1}]}, "text is None"),
        ({"segments": [], "words": []}, "no segment with text"),
        ({"status": "error"}, "no list of segments"),
        ({"segments": {"0": {"start": 0, "end": 1, "text": "Tom"}}}, "no list of segments"),
    ],
)  # fmt: skip
def test_times_of_an_unknown_unit_or_none_are_refused(given, message):
    with pytest.raises(TranscriptError, match=message):
        read_transcript(json.dumps(given))


def test_json_of_any_other_form_is_refused_and_never_raises_otherwise():
    scraps = [
        None,
        True,
        7,
        -1.5,
        1e400,
        10**400,
        "x",
        "5s",
        [],
        {},
        [[]],
        ["a", 1, 2],
        [1, 2],
        {"text": 3},
    ]
    keys = ["segments", "words", "start", "end", "text", "timestamp", "alternatives", "offsets"]
    values = [*scraps, *({key: scrap} for key in keys for scrap in scraps)]
    values += [{key: [value]} for key in keys for value in values]
    values.append(json.loads("[" * 600 + "]" * 600))
    for value in values:
        for given in (value, [value, value]):
            with contextlib.suppress(TranscriptError):
                recognised_segments(given)


def test_channels_are_one_transcript_in_the_order_of_their_times():
    words = [[("Tom", 0.5), ("sleeps", 3.0)], [("so", 1.0)]]
    channels = [
        {"alternatives": [{"words": [{"word": w, "start": s, "end": s + 0.4} for w, s in said]}]}
        for said in words
    ]
    segments = read_transcript(json.dumps({"results": {"channels": channels}}))
    assert [s.text for s in segments] == ["Tom", "so", "sleeps"]


def test_a_clock_that_begins_anew_is_refused_with_its_place():
    chunks = [{"timestamp": [28.0, 29.5], "text": "Tom"}, {"timestamp": [0.0, 1.5], "text": "so"}]
    with pytest.raises(TranscriptError, match=r"chunks\[1\]: begins at 0.0 s, .*one by one"):
        read_transcript(json.dumps({"chunks": chunks}))
    chunks[1]["timestamp"] = [27.9, 30.0]  # as of two speakers
    assert len(read_transcript(json.dumps({"chunks": chunks}))) == 2
