"""Stops of other scripts, formulas and smileys behind a stop, ordinals and abbreviations in every case."""

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.script_stops import WIDE
from adasr_trl.core.sentences import SentenceStream, sentence_chunks
from support.proportion import assert_in_proportion

# Each line is one text; "¦" stands where a sentence ends.
SCRIPTS = """
小红有5个苹果．¦她吃了2个．¦还剩几个？
小红有5个苹果.¦她吃了2个.¦还剩几个?¦请回答!
小红买了3本书．¦李华买了2本．¦一共几本？
已知AB=CD．¦求证：AD=BC．
1．小红有3本书．¦她又买了2本．
例2．已知x=5．¦求x的3倍．
丽莎．贝克有5个苹果．¦她吃了2个．
她认识约翰.贝克.
价格是3．5元．¦买2个．
打开报告.docx看看.¦她走了.
A．她有5个B．他有3个
犬が三匹います．¦一匹は白いです．
终于到了﹒¦我们走﹒
リサ.ベーカーは絵を描いた.¦彼女は元気です.
らいおん!の歌です．¦いいね．
몇 개야?¦세 개야.
ሊሳ መጣች፡፡¦ አን ሄደች፡፡
ሊሳ፡መጣች፡፡¦አን፡ሄደች፡፡
ሰዓት 3: 5 ነው።¦ሄደች።
लीसा के पास 5 अंडे हैं|¦ उसने 2 खाए||¦ अब?
नाम|उम्र|शहर
नाम | उम्र | शहर
Լիզան ունի ձու:¦ Նա կերավ երկու հատ:
Lisa said: Stop.¦ At 5: Ann left.
Lisa | Ann || Bo
"""
FORMULAS = r"""
Let $x = 5.$¦ Find $x + 1.$
Let $$y = 5.$$¦ Find $y$.
Let $f(x) = (x - 1)(x - 2).$¦ What is $f(3)?$¦ Explain.
Let $A = B.$¦ Find it.
Let $A = \frac{1}{2.}$¦ Find it.
Let \(x = 5.\)¦ Find \(x + 1.\)
Let \[x = 5.\]¦ Find x.
Let \[ x = 5. \]¦ Find x.
Let $x = 5.$ and go on.¦ Then stop.
Let \(x = 5.\), then go on.¦ Then stop.
He paid U.S.$ 500 and U.S.$ 300 more.¦ She left.
A hen is $5, an egg $.50.¦ Ann has $6.¦ Bo has \$7.
He earns money.¦ $5 is left.
"""
SMILEYS = """
Lisa left! :)¦ Ann stayed. ;-)¦ Bo left. :D¦ Kim too. :P¦ Why?
Lisa left!:)¦ Ann stayed? (:¦ Yes. ))¦ No. =)¦ Oh.
Lisa left. :) and then she came back.¦ Ann stayed.
lisa left! :D¦ ann stayed. :(¦ he ran.
Mr. :) Lee left.¦ Ann stayed.
Note this. : it is odd. = 5.
Lisa left.¦ (He: she stayed.)¦ Ann.
It is 4. / 2 of it. / Ann.
"""
ORDINALS = """
Lisa feiert ihren 30. Geburtstag und seinen 100. Sieg.¦ Er lacht.
Das ist unser 2. Versuch.¦ Ein 3. Huhn kam, dann ein 4. kleines.
Es war der 2. oder 3. Versuch am 1. und 2. Mai.¦ Er ging.
Am Samstag, 3. August, kam sie.¦ Freitag, 4. Mai, auch.
Das war im II. Weltkrieg und im XX. Jahrhundert.¦ Sie ging.
Er hat meine 5.¦ Sie hat deine 3.¦ Wie viele sind das?
Er zählt bis 100.¦ Lisa zählt bis 200.
I am 3.¦ He is 5.¦ I am 100.¦ Ann is 6.
Lisa has 3.¦ April has 5.¦ Mai has 2.¦ Juli has 1.
Es kostet EUR 5.¦ Lisa zahlt.
"""
ABBREVIATIONS = """
O dr. Lima e a profa. Gil comem.¦ A sra. Reis também.
La dra. Gil come.¦ El prof. Ruiz habla de D. Juan y la Dña. Ana.
Il dott. Bianchi e l'avv. Rossi mangiano.¦ Anche la sig.ra Neri.
De drs. Bos en mw. Smit eten.¦ Mw. Bos niet.
La mme. Curie est là.¦ Selon l'art. 5 et l'Art. 6, oui.
DR. LEE HAS 5 EGGS.¦ MRS. KIM HAS 3.¦ HE HAS 2.
Cf. Lund.¦ Vgl. Meier.¦ Ca. 5 Euro.
She is a prof.¦ He ate a fig.¦ Ann ate 5 mm.¦ Bo has CF.¦ Ann lives in HR.¦ Oh.
Dipl.-Ing. Klein und J.-P. Lund kamen.¦ Sie aßen 10 Stk. Brot.¦ Er zahlt.
Laut Art. 5 Abs. 2 GG nicht.¦ She loves art.¦ 5 people came.
Lisa paid Rs. 500 for it.¦ See Ch. 3, Thm. 4 and Op. 27.¦ She lives in Apt. 5.
Call ext. 5 or tel. 555.¦ Ann waits.
Reed v. Lund was won.¦ The velocity v.¦ Find it.
It was built c. 1900 by Ann.¦ She took vitamin c.¦ 5 men did.
Drs. Lee and Kim saw Assoc. Prof. Bo, Pvt. Ray and Det. Fox.¦ They slept.
She came on Tues. May 5 and Sat. June 9.¦ They wed.¦ May came.¦ We saw the Sun.¦ May left.
"""
LINES = "".join((SCRIPTS, FORMULAS, SMILEYS, ORDINALS, ABBREVIATIONS)).split("\n")
CASES = [tuple(line.split("¦")) for line in LINES if line]


@pytest.mark.parametrize("expected", CASES, ids=" ".join)
def test_a_sentence_ends_at_its_stop_and_at_no_other(expected: tuple[str, ...]) -> None:
    assert sentence_chunks("".join(expected)) == expected


@pytest.mark.parametrize("stop", WIDE)
def test_every_stop_of_unicode_ends_a_sentence(stop: str) -> None:
    assert sentence_chunks(f"ab{stop} cd.") == (f"ab{stop}", " cd.")


def test_a_pause_hands_on_a_sentence_with_its_smiley() -> None:
    stream = SentenceStream()
    assert stream.feed("Lisa left! :") == stream.pause() == ()  # ":)" may come
    assert stream.feed(")") == ()
    assert stream.pause() == ("Lisa left! :)",)


PIECES = [
    *(
        "苹果",
        "他",
        "吃了",
        "ます",
        "の",
        "猫",
        "A",
        "例1",
        "．",
        "﹒",
        "हैं",
        "|",
        "ሊሳ",
        "፡",
        ":",
        "Լիզա",
    ),
    *(
        "$",
        "$$",
        "\\",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "x",
        "5",
        "U.S.$",
        ":)",
        ":D",
        ";",
        "=",
        "(:",
        "))",
    ),
    *(
        "der",
        "meine",
        "3.",
        "100.",
        "II.",
        "Freitag,",
        "und",
        "v.",
        "c.",
        "1900",
        "Tues.",
        "May",
        "He",
    ),
    *(
        "dr.",
        "MR.",
        "Dipl.-Ing.",
        "l'art.",
        "Roe",
        ".",
        "?",
        "!",
        "。",
        "[3]",
        "\n",
        " ",
        " ",
        " ",
        " ",
    ),
]
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(deadline=None, max_examples=200)
@given(texts)
def test_no_boundary_moves_however_the_text_arrives(text: str) -> None:
    whole = sentence_chunks(text)
    stream = SentenceStream()
    found = [piece for character in text for piece in stream.feed(character)]
    assert (*found, *stream.finish()) == whole
    for length in range(len(text)):
        known = sentence_chunks(text[:length])[:-1]
        assert known == whole[: len(known)]


@pytest.mark.parametrize("unit", [".\\", "$.", "苹果.他", "है|", "::", "! :", "ein 3. und "])
def test_work_stays_linear(unit: str) -> None:
    assert_in_proportion(lambda length: sentence_chunks(unit * (length // len(unit))), 100_000)
