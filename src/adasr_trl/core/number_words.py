r"""Words of numbers and words that change the number beside them, of English and other languages.

    >>> bool(BEFORE_NUMBER.search("至少")), bool(BEHIND_NUMBER.match(" o más"))
    (True, True)

Signs, bounds, denials, months, times of day, magnitudes; the English ones that more than one reader needs. The lists are
ours and short: what the common school languages put directly before or behind a number. A sign in words of another
language gives no value, since many also mean "less" ("al menos 5", "3 menos 2").
"""

from __future__ import annotations

import re

from adasr_trl.core.characters import CJK

# ruff: noqa: RUF001 - letters of other scripts are meant
_TENS = r"(?:twen|thir|for|fif|six|seven|eigh|nine)t"
_TEENS = r"(?:thir|four|fif|six|seven|eigh|nine)teen"
NUMBER_WORD = (
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    rf"|{_TEENS}|{_TENS}y|hundred|thousand|million|dozen)"
)
_UNITS = re.findall(
    "[a-z]+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TEN_WORDS = re.findall("[a-z]+", "twenty thirty forty fifty sixty seventy eighty ninety")
_SPELLED = {word: value for value, word in enumerate(_UNITS)}
_SPELLED |= {word: 10 * tens for tens, word in enumerate(_TEN_WORDS, 2)}
# Magnitudes of other languages, abbreviations that are also units, and English ones out of their usual place.
MAGNITUDE = (
    r"(?:bn|mn|tn|mill(?=\.)|mio|mrd|mld|mlrd|mln|tys|cr|lacs?|lakhs?|crores?|score|gross|tens|hundreds?|thousands?|[a-z]{1,9}illions?"
    r"|dozens?|tausend|[a-z]{1,9}illi(?:ones|onen|arde?n?|ards)|milliers?|mill(?:ón|ones)|mil(?:le|a)?|mil(?:hão|hões|iardi|jard|joen)|duizend"
    r"|tysięcy|tisíc|tusen|tuhat|ezer|bin|milyon|milyar|ribu|juta|nghìn|triệu|tỷ|тыс\w*|млн|млрд|миллион\w*|миллиард\w*|χιλιάδες"
    r"|εκατομμύρια|लाख|करोड़|हज़ार|हजार|सौ|ألف|آلاف|مليون|مليار|אלף|מיליון|grand(?!\s[a-z]{2,}s\b))(?![^\W\d_])"
    r"|\s?(?:[百千万萬億亿백천만억]|พัน|หมื่น|แสน|ล้าน)"
)
PARTS = (
    r"(?:half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|elevenths?|twelfths?"
    rf"|{_TEENS}ths?|{_TENS}ieths?|(?:ten|hundred|thousand|[a-z]{{1,9}}illion)ths?)"
)
WRONG = r"(?:wrong|incorrect|false|impossible|excluded|too\s(?:many|few|much|little|low|high))"
# A bound behind a number and its unit: "5 hens or more".
BOUND = (
    r"(?:\s[a-z]{1,12})?\s(?:(?:or|and)\s(?:more|less|fewer|greater|higher|lower|above|over|below|under|up|upwards?|beyond)"
    r"|at\s(?:the\s)?(?:very\s)?(?:most|least)|max|maximum|minimum|tops|upwards?|onwards?)\b"
)
CORRECTED = (
    r"[\s,.?!…;:(\[—-]{1,4}(?:no|sorry|wait|oops|i\smean|rather|actually|hmm|correction|(?:make|scratch|strike)\sthat|my\smistake)\b"
    r"[^0-9\n]{0,20}"
)

_MORE = (
    r"(?:m[áa]s|menos|plus|moins|mais|più|meno|mehr|weniger|meer|minder|больше|меньше|более|менее)"
)
_HERE = rf"[{CJK}]{{0,2}}\s?"  # a counter: "5個", "5명"
_MONTHS = (
    r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    r"|janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
    r"|Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
    r"|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro"
    r"|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|novembre|dicembre"
    r"|januari|februari|maart|april|mei|juni|juli|augustus|september|oktober|november|december"
    r"|января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря)"
)
BEFORE_NUMBER = re.compile(
    r"""(?: \b(?:menos|moins|meno|минус|eksi|سالب|ناقص|ऋण)
      | \b(?:(?:m[áa]s|plus|moins|mais|più|meno)\s(?:de|que|di)|al\smenos|(?:por\slo|pelo|ao)\s(?:menos|mais)|(?:au|du)\s(?:moins|plus)
        |como\s(?:mínimo|máximo)|no\s(?:mínimo|máximo)|almeno|al\smassimo|fino\sa|hasta|até|jusqu['à]+|casi|quase|quasi|presque
        |mindestens|höchstens|(?:mehr|weniger|größer|kleiner)\sals|bis(?:\szu)?|über|unter|fast|nicht|kein\w*|zwischen|entre|tra|fra
        |minstens|hoogstens|(?:meer|minder)\sdan|bijna|niet|pas|jamais|nunca|mai|не|ни|до|от|свыше|почти|между|минимум|максимум
        |(?:больше|меньше|более|менее)(?:\sчем)?|(?:no|non|não|ne)\s(?:es|son|est|è|é|são)|en\s(?:az|fazla)|ít\snhất|nhiều\snhất
        |(?:أكثر|أقل)\sمن|ليس|कम\sसे\sकम|अधिकतम|न्यूनतम)
      | 负|負|マイナス|마이너스|[至最][少多]|起码|不[是到足等满]|不[^\W\d_]?[于於為为]|[大小多少高低早晚][于於過过]|超[过過出]|接近|并非|少なくとも
      | 多くても|最[大小高低]|최소|최대|적어도|많아야 ) \s?[¥$€£]?$""",
    re.VERBOSE | re.IGNORECASE,
)
TIME_BEHIND = re.compile(
    rf"""\.?\s(?:de\s|di\s)?{_MONTHS}(?![^\W\d_]) | \sUhr\b | \sde\s(?:la|da)\s(?:tarde|mañana|manhã|noche|noite)\b
    | \s?(?:点(?![ぁ-ヿ])|點|[時时](?![間间])|시(?!간))""",
    re.VERBOSE,
)
BEHIND_NUMBER = re.compile(
    rf"""\s?[多余餘几幾] | \s?{_HERE}(?:以[上下内內外]|之[上下]|未[満满]|超|を[超下]|より|이상|이하|미만|초과|이내)
    | (?:\s\w{{1,12}})?\s(?:o|ou|oder|of|или|y|et|und|en|e)\s{_MORE}\b
    | (?:\s\w{{1,12}})?\s(?:mindestens|höchstens|au\s(?:moins|plus)|(?:al|por\slo|pelo)\smenos|como\s(?:mínimo|máximo)|almeno|minstens|hoogstens)\b
    | \s?{_HERE}(?:では(?:な|あり)|じゃな|가?\s?아[니닌닙]|是?(?:不[对對]|错|錯|誤))
    | \s(?:ist|est|es|è|é)\s(?:nicht|falsch|fau[xs]|fals[oa]|errad[oa]|sbagliat[oa])\b""",
    re.VERBOSE | re.IGNORECASE,
)


def spelled(words: str) -> int:
    """The number that English words spell: "two hundred and five" is 205."""
    whole = group = 0
    for word in re.findall("[a-z]+", words.lower()):
        if word == "hundred":
            group *= 100
        elif word in ("thousand", "million"):
            whole, group = whole + group * (1000 if word == "thousand" else 10**6), 0
        else:
            group += 12 if word == "dozen" else _SPELLED.get(word, 0)
    return whole + group
