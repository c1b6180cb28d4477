"""Sound in a client's events: its form, turn detection, and bytes, by the names of OpenAI's API in both generations.

>>> sound_form({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}}, SoundForm())
>>> sound_form({"input_audio_format": "g711_ulaw"}, SoundForm())         # before its general availability
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from adasr_trl.serving.limits import RefusalError
from adasr_trl.serving.messages import (
    Message,
    flag_field,
    number_field,
    object_field,
    text_field,
    whole_field,
)
from adasr_trl.speech.encodings import Encoding
from adasr_trl.speech.pcm import HIGHEST_RATE, LOWEST_RATE
from adasr_trl.speech.process import SoundForm

LAW_RATE = 8_000  # of G.711
BETA = {
    "pcm16": SoundForm(Encoding.PCM16, 24_000),
    "g711_ulaw": SoundForm(Encoding.MU_LAW, LAW_RATE),
    "g711_alaw": SoundForm(Encoding.A_LAW, LAW_RATE),
}
FORMS = {
    "audio/pcm": Encoding.PCM16,
    "audio/pcmu": Encoding.MU_LAW,
    "audio/pcma": Encoding.A_LAW,
}
_FILES = {  # by their first bytes, which no samples have but by a rare chance
    "a WAV file": re.compile(rb"R(?:IFF|F64)....WAVE", re.DOTALL),
    "WebM or Matroska": re.compile(rb"\x1a\x45\xdf\xa3"),
    "an Ogg file": re.compile(rb"OggS\x00"),
    "a FLAC file": re.compile(rb"fLaC\x00"),
    "an MP3 file": re.compile(rb"ID3[\x02-\x04]\x00"),
    "an MP4 file": re.compile(rb"\x00\x00..ftyp", re.DOTALL),
}
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class TurnDetection:
    """Settings of the server's turn detection."""

    silence_seconds: float = 0.5
    answers: bool = False

    def shown(self) -> dict[str, Any]:
        """As a client sees them."""
        return {
            "type": "server_vad",
            "silence_duration_ms": round(1000 * self.silence_seconds),
            "create_response": self.answers,
            "interrupt_response": False,
        }


def sound_form(session: Message, form: SoundForm) -> SoundForm:
    """The form that ``session.update`` sets, by default the one before."""
    if session.get("input_audio_format") is not None:
        form = _beta_form(session)
    given = object_field(_input(session), "format")
    return _form(given) if given else form


def turn_detection(session: Message, turns: TurnDetection | None) -> TurnDetection | None:
    """The turn detection that ``session.update`` sets, by default the one before; None is off."""
    for fields in (session, _input(session)):
        if "turn_detection" in fields:
            turns = _turn_detection(fields)
    return turns


def transcription_prompt(session: Message, prompt: str) -> str:
    """The text with words that may be said that ``session.update`` sets, by default the one before."""
    beta = object_field(session, "input_audio_transcription")
    for fields in (beta, object_field(_input(session), "transcription")):
        prompt = text_field(fields, "prompt", prompt)
    return prompt


def shown_form(form: SoundForm) -> dict[str, Any]:
    """A form as clients see it."""
    name = next(name for name, encoding in FORMS.items() if encoding is form.encoding)
    shown: dict[str, Any] = {"type": name}
    return {**shown, "rate": form.rate} if form.encoding is Encoding.PCM16 else shown


def sound_bytes(text: str) -> bytes:
    """Samples in base64; its other alphabet, white space and missing padding are read too.

    Raises:
        RefusalError: It is no base64, or a piece of a file.
    """
    if text[:5].lower() == "data:":
        reason = "audio: this is a data URL; send base64 of the samples alone."
        raise RefusalError("invalid_value", reason, "audio")
    plain = "".join(text.split()).rstrip("=").translate(_URL_SAFE)
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        reason = f"audio: is no base64 ({error})."
        raise RefusalError("invalid_value", reason, "audio") from None
    # Characters of the last group; their spare bits are 0 at the end of bytes.
    rest = len(plain) % 4
    if rest and base64.b64encode(data[1 - rest :])[:rest] != plain[-rest:].encode():
        reason = "audio: ends within a byte; encode each piece of samples, do not cut their base64."
        raise RefusalError("invalid_value", reason, "audio")
    for name, beginning in _FILES.items():
        if beginning.match(data):
            reason = f"audio: this is {name}; send its samples without header or compression."
            raise RefusalError("invalid_value", reason, "audio")
    return data


def _input(session: Message) -> Message:
    return object_field(object_field(session, "audio"), "input")


def _beta_form(session: Message) -> SoundForm:
    name = text_field(session, "input_audio_format")
    if name not in BETA:
        reason = f"input_audio_format: got {name[:40]!r}; expected {', '.join(BETA)}."
        raise RefusalError("invalid_value", reason, "session.input_audio_format")
    return BETA[name]


def _form(given: Message) -> SoundForm:
    name = text_field(given, "type", "audio/pcm")
    if name not in FORMS:
        reason = f"audio.input.format.type: got {name[:40]!r}; expected {', '.join(FORMS)}."
        raise RefusalError("invalid_value", reason, "session.audio.input.format.type")
    encoding = FORMS[name]
    rate = whole_field(given, "rate", LOWEST_RATE, HIGHEST_RATE)
    if encoding is Encoding.PCM16:
        return SoundForm(encoding, rate or 24_000)
    if rate not in (None, LAW_RATE):
        reason = f"audio.input.format.rate: got {rate}; expected {LAW_RATE} for {name}, or none."
        raise RefusalError("invalid_value", reason, "session.audio.input.format.rate")
    return SoundForm(encoding, LAW_RATE)


def _turn_detection(fields: Message) -> TurnDetection | None:
    given = fields["turn_detection"]
    if given is None:
        return None
    given = object_field(fields, "turn_detection")
    if text_field(given, "type", "server_vad") != "server_vad":
        reason = "turn_detection: only server_vad is served, or null."
        raise RefusalError("unsupported_turn_detection", reason, "session.turn_detection")
    silence = number_field(given, "silence_duration_ms", 100, 10_000)
    answers = flag_field(given, "create_response", default=False)
    return TurnDetection((silence or 500) / 1000, answers)
