r"""A choice in the place of an answer: a label such as "yes" or "(B)", or a few words.

    >>> find_choice(Span("(B) of them", 0, Place.BEHIND_MARKER))
    Found(value='b', end=2)
    >>> find_choice(Span("A is wrong", 0, Place.BEHIND_MARKER))

A label that is negated, excluded or joined to another one is no choice. Behind a marker a letter is a letter, also "A"
before "because"; in a box with a formula it is a symbol. Scripts without spaces may touch it ("答案是B").
"""

from __future__ import annotations

import re
from itertools import pairwise

from adasr_trl.core.answer_place import Found, Place, Span
from adasr_trl.core.box_context import is_denied
from adasr_trl.core.characters import plain

# ruff: noqa: RUF001 - the typographic quotes are meant
NAMES = r"\\(?:text|textbf|textit|textrm|textsf|texttt|math(?:rm|bf|it|sf|tt)|boldsymbol|bm|underline|emph|mbox)"  # of commands for words in LaTeX
NEGATION = re.compile(
    r"\b(?:not|never|neither|nor|cannot|no\slonger|hardly)\b|n['’]t\b", re.IGNORECASE
)
# Words at most two words before a label that exclude or weaken it.
_EXCLUSION = re.compile(
    r"(?:\b(?:no|except|exclud\w+|(?:rul(?:es?|ed|ing)|cross\w*)\sout|eliminat\w+|discard\w*|reject\w*|unlike|without|against"
    r"|than|instead\sof|besides|apart\sfrom|(?:any|every)thing\sbut|all\sbut|part(?:ly|ially)|half|almost|nearly|mostly|largely"
    r"|somewhat|barely|scarcely|far\sfrom|close\sto|lack\sof)\s(?:\w+\s){0,2}|[¬!~]"
    r"|(?:不(?:[会會应應该該能]?[是选選]|可能是|属于|為|为)|非|[排删]除|除[了去]?|没有)\s?)[(\[*_\"'`]*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"[*_`)\]\"'’]{0,3}(?:,?\s(?:which|that|it|this))?\s(?:(?:is|was|are|does|ca|could|would)(?:n['’]t|\snot|nnot)\b"
    r"|(?:is|was|are|seems|looks|must\sbe)\s(?:\w+\s)?(?:wrong|incorrect|false|impossible|excluded|eliminated|(?:ruled\s)?out)\b"
    r"|(?:or|and)\s(?:none|neither|nothing|something|another|others?|all|both)\b)"
    # of Chinese, Japanese and Korean, with "option" and a particle between
    r"|[)\]\"']{0,2}\s?(?:选项|選項|項)?[是はが가이는은]?\s?(?:不|错|錯|誤|間違|では(?:な|あり)|じゃな|以外|아[니닌닙]|틀)",
    re.IGNORECASE,
)
_REASONS = "because|since|as|due|which|that|for|so|but|when|if|although|while|given|is"
_LABEL_WORDS = (
    r"yes|maybe|true|false|self[\s_-]?contradiction|contradiction|entailment|neutral|unknown|uncertain"
    rf"|no(?=\s*+(?:[^\w\s]|$|(?:{_REASONS}|it|he|she|they|we|there|this|and|or)\b))"
)
_W = r"0-9A-Za-z_\u00aa\u00b2\u00b3\u00b9\u00ba\u00c0-\u058f\u2070-\u209c"  # of scripts that set words apart
_BARE = rf"(?<![{_W}'’°&-])(?<![A-Za-z]\.)"  # no part of "D&D", "A.D.", "°C"
_ENDS = rf"(?![{_W}'’#♯-]|&[A-Za-z]|\.[A-Z](?![a-z]))"
_NAMED = r"(?:(?<=[Oo]ption\s)|(?<=[Cc]hoice\s)|(?<=[Ll]etter\s)|(?<=选项)|(?<=選項)|(?<=選択肢))"
_LETTER = (
    rf"(?<=\()[A-Za-z](?=\))|{_BARE}{_NAMED}[A-Za-z]{_ENDS}|{_NAMED}[0-9]{{1,2}}(?![{_W}%]|[.,:/-][0-9])"
    rf"|{_BARE}(?<![¬!~])(?:[B-H]|A(?!\s+(?!(?:{_REASONS}|and|or|not|to|then|vs)\b)[a-z]))(?!\+){_ENDS}"
)
_LABEL = re.compile(rf"(?i:(?<![\w-])(?:{_LABEL_WORDS})(?![\w-]))|{_LETTER}")
_LONE_LETTER = re.compile(
    rf"[\s*_`\"'(\[<{{]*([A-Za-z])[*_`\"')\].:,;>}}]*(?:\s*$|\s+(?:{_REASONS})\b)"
)
_HEADING = re.compile(r"[\s*_`\"'(\[{]*([A-Za-z])\s?[).:\]}][*_`\"']*\s")  # "(B) 5 hens"
_FORMULA = re.compile(r"\\[A-Za-z]{2,}|[\^_=<>+]")
_JOINED = re.compile(
    r"[\s*_`()\[\]]*(?:[-/;|&+<>]|,?\s?\b(?:or|and|nor|to|then|vs\.?)\b|,|\s)"
    r"(?:\s?\b(?:perhaps|maybe|possibly|also|else|even|then|maybe)\b)?[\s*_`(\[]*(?:option\s)?"
    r"|\s?(?:或者?|和|与|與|及|还是|還是|か|と|や|または|또는|이나|나|와|과|или|и)\s?"
)
# A second letter behind the first: "A) and B)".
_ANOTHER = re.compile(
    r"[\s*_`\"')\].:]*(?:[,;/&+]|\b(?:and|or|nor)\b)[\s*_`\"'(\[]*(?:option\s)?[A-Z](?=[)\].:])"
)
_CLAUSE = re.compile(rf"[.,](?![0-9]|[A-Z]\b)|[;:!?\n]|\s(?:{_REASONS.removesuffix('|is')})\b")
_HEDGE = frozenset(("or", "and", "nor", "either", "neither", "not", "both"))
_DETERMINER = re.compile(r"\W*(?:an?|the|his|her|their|its)\s", re.IGNORECASE)  # but no "A.D."
_WORD = re.compile(r"[<>≤≥≠=+^/%]|(?<![\w.])-?[0-9]+(?:[.,][0-9]+)*|°?\w[\w'’-]*(?:[#♯]|\+\+)?")
_MAX_WORDS = 3  # of a choice that is no label


def find_choice(span: Span) -> Found | None:
    """The choice that a span states, or None."""
    if span.place is Place.BOX and is_denied(span.text, span.before, span.behind):
        return None
    text = re.sub(NAMES, lambda name: " " * len(name.group()), plain(span.text))  # offsets stay
    is_first = span.place is not Place.SOMEWHERE
    lone = _LONE_LETTER.match(text) or _HEADING.match(text)
    if lone and (is_first or lone[1].isupper()) and not _DENIED.match(text, lone.end(1)):
        another = _ANOTHER.match(text, lone.end(1))
        return None if another else span.found(lone[1].lower(), lone.end(1))
    labels = list(_LABEL.finditer(text))
    if not labels:
        return _find_words(span, text)
    if not is_first and not re.search(r"\w", text[: labels[0].start()]):
        is_first = True  # "Yes, there is no doubt"
    label = labels[0 if is_first else -1]
    clause = _clause_before(text, label.start())
    if NEGATION.search(clause) or _EXCLUSION.search(clause) or _DENIED.match(text, label.end()):
        return None
    if _is_hedged(label, labels, text) or (span.place is Place.BOX and _is_symbol(label, text)):
        return None
    return span.found(_label_value(label), label.end())


def is_label(answer: str) -> bool:
    """Whether an answer is nothing but a label."""
    return _LABEL.fullmatch(answer.strip("() ")) is not None


def _label_value(label: re.Match[str]) -> str:
    return re.sub(r"[\s_-]+", "_", label.group().lower())


def _is_symbol(label: re.Match[str], text: str) -> bool:
    """Whether a letter in a box stands in a formula."""
    return len(label.group()) == 1 and label.group().isalpha() and _FORMULA.search(text) is not None


def _clause_before(text: str, end: int) -> str:
    return re.split(r"[.,;:!?\n]|(?<!thing )(?<!all )\bbut\b", text[:end])[-1]


def _is_hedged(label: re.Match[str], labels: list[re.Match[str]], text: str) -> bool:
    """Whether another label is joined to this one, as in "yes or no"."""
    return any(
        label in (left, right)
        and _label_value(left) != _label_value(right)
        and _JOINED.fullmatch(text, left.end(), right.start())
        for left, right in pairwise(labels)
    )


def _find_words(span: Span, text: str) -> Found | None:
    """A choice that is no label: the words of its clause, else one word at the edge of the text."""
    is_first = span.place is not Place.SOMEWHERE
    clause = _CLAUSE.split(text.strip(), maxsplit=1)[0] if is_first else text
    words = list(_WORD.finditer(clause))
    offset = len(text) - len(text.lstrip()) if is_first else 0
    if len(words) > 1 and _DETERMINER.match(clause):
        words = words[1:]
    if not words or re.search(r"[¬~]|^\s*!", clause):  # signs of negation
        return None
    spelled = [word.group().lower() for word in words]
    if len(words) > _MAX_WORDS and not is_first:
        words, hedged = words[-1:], spelled
        spelled = spelled[-1:]
        if _HEDGE & set(hedged):
            return None
    return span.found(" ".join(spelled), offset + words[-1].end())
