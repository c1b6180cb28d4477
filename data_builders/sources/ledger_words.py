"""Words of the ledger: people, things, verbs, places, numbers.

    >>> AMOUNT_OF["twelve"], form("throw away", "past"), plural("box")
    (12, 'threw away', 'boxes')

Lists of words and their forms only; sentences are made in ``ledger_sentences``. The check reads the same words.
"""

from __future__ import annotations

from typing import Literal

Tense = Literal["base", "present", "past"]


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def _phrases(phrases: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in phrases.split(","))


WOMEN = _split(
    "Ann Eva Ida Mia Lena Zoe Sofia Emma Olivia Ava Isabella Amelia Harper Ella Grace Chloe Lily Hannah Nora Ruby Alice "
    "Lucy Sarah Laura Julia Maria Anna Clara Sophie Marie Claire Camille Elena Carla Paula Rosa Marta Ines Lucia Giulia "
    "Chiara Francesca Bianca Petra Katja Heidi Greta Frieda Hanna Lina Jana Ewa Zofia Kasia Olga Natasha Irina Tanya "
    "Svetlana Fatima Aisha Leila Yasmin Amina Noor Layla Priya Anjali Deepa Meera Kavya Lakshmi Mei Xiu Yuki Sakura Hana "
    "Akiko Jin Soo Linh Amara Zuri Nia Adaeze Thandi Wanjiru Kate Beth Jane Mary Susan Linda Karen Nancy Betty Helen "
    "Sandra Donna Carol Ruth Sharon Michelle Emily Megan Rachel Rebecca Jessica Stephanie Nicole Victoria Molly Daisy "
    "Poppy Ivy Freya Astrid Ingrid Signe Maja Elsa Saga Liv"
)
MEN = _split(
    "Tom Bob Max Leo Ben Paul Peter John James Jack Harry Oliver Noah Liam Lucas Mason Ethan Logan Henry Samuel David "
    "Daniel Michael Adam Aaron Oscar Hugo Felix Moritz Lukas Jonas Finn Emil Karl Otto Hans Klaus Jan Marek Piotr Pavel "
    "Ivan Boris Sergei Dmitri Igor Pierre Louis Jules Antoine Marco Luca Matteo Paolo Giorgio Carlos Pablo Diego Miguel "
    "Jose Juan Luis Pedro Rafael Joao Ali Omar Hassan Ahmed Yusuf Ibrahim Karim Tariq Raj Arjun Rahul Vikram Sanjay Anil "
    "Ravi Wei Jun Ming Hiroshi Kenji Takeshi Haruto Minho Tuan Kwame Kofi Jabari Chidi Sipho Steve Mark Bill George Frank "
    "Fred Ted Jim Joe Mike Nick Rob Ron Roy Sean Simon Tim Tony Will Zack Kyle Ryan Kevin Brian Eric Greg Jeff Keith Ken "
    "Larry Neil Lars Sven Bjorn Nils Axel Anders"
)
NEW_WOMEN = _split("Tilda Noemi Saskia Rhea Maeve Odile Ximena Petunia Sunita Beatrix Yara Mira")
NEW_MEN = _split("Tobias Enzo Rohan Gustav Malik Cedric Bruno Stellan Tariku Ezra Dario Viktor")
ROLES = {  # of people without a name, with a pronoun
    "she": _phrases("Grandma, Mum, Mom, my aunt, the girl, the queen, my sister, the old lady"),
    "he": _phrases("Grandpa, Dad, my uncle, the boy, the king, my brother, the old man"),
    "": _phrases(
        "the farmer, the teacher, the baker, the gardener, the doctor, my friend, the shopkeeper, the neighbour, the child, "
        "the pirate, the wizard, the student, the cook, the driver, the captain, the witch"
    ),
    "it": _phrases(
        "the rabbit, the squirrel, the robot, the bear, the monkey, the shop, the school, the library"
    ),
}
KIN = _split(
    "sister brother mother father friend cousin aunt uncle neighbour dad mum mom grandma grandpa teacher son daughter "
    "wife husband boss grandmother grandfather classmate buddy dog"
)
KIN_MANY = _split(
    "friends sisters brothers parents kids children cousins classmates neighbours grandparents guests"
)
# Never taken up by a pronoun.
OUTSIDERS = _phrases("a thief, a stranger, a boy, a girl, a friend, a customer, a monkey")
OUTSIDERS_MANY = _phrases("customers, some children, the guests, visitors, the kids, thieves")
SYLLABLES = _split(  # of invented words
    "ba be bo da do du fa fi ga go ja jo ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se si so "
    "ta te ti to va ve vi vo wa xa ya yo za ze zi zo bra cla dri fle gru kra pli sto tri vle"
)
SYLLABLE_ENDS = _split("n r l s x th nd rk m t")

THINGS = _split(
    "apple coin book card marble sticker egg pencil pen balloon candy cookie cake sweet stamp shell stone rock flower rose "
    "tulip orange banana pear peach plum cherry lemon melon grape strawberry berry nut walnut potato tomato carrot onion "
    "pumpkin mushroom bean toy doll ball car truck train kite block brick puzzle game ticket token bead ring necklace "
    "bracelet gem diamond pearl crystal button ribbon hat cap scarf glove sock shoe shirt coat bag box basket bottle cup "
    "mug glass plate bowl spoon fork knife candle lamp key lock nail screw hammer brush towel pillow blanket chair table "
    "photo picture poster letter postcard envelope notebook magazine newspaper comic crayon marker eraser ruler euro "
    "dollar pound penny cent badge medal trophy flag drum whistle guitar fish cat dog hen chicken duck goose cow horse pig "
    "sheep goat rabbit mouse bird parrot frog turtle snail butterfly bee ant bug worm leaf seed plant tree cactus branch "
    "feather acorn chestnut pinecone muffin donut pancake waffle sandwich pizza burger biscuit chocolate lollipop pie bun "
    "bagel croissant cupcake gift present parcel package magnet battery bulb wheel tire bike boat ship robot dinosaur "
    "dragon unicorn star point sheet paper folder file disk record tape film phone bow arrow sword shield potion scroll"
)
_PLURALS = {
    "knife": "knives", "leaf": "leaves", "mouse": "mice", "goose": "geese", "fish": "fish", "sheep": "sheep", "cactus": "cacti",
    "potato": "potatoes", "tomato": "tomatoes", "child": "children",
}  # fmt: skip
ADJECTIVES = _split(
    "new old big small little red blue green yellow white black shiny nice pretty fresh tiny beautiful"
)
POOLS = {  # places whose things belong to nobody, with their preposition
    "in": _split(
        "jar fridge drawer bowl basket tin crate bucket barn pond cupboard tank cage bag freezer chest bin"
    ),
    "on": _split("table shelf tray plate desk counter branch roof"),
}
CONTAINERS = _split(
    "basket bag box wallet pocket room jar drawer garden house collection purse backpack"
)

# Verbs with an object, by what they do to the count of their subject.
GAINS = _phrases(
    "buy, find, get, win, receive, collect, gather, pick, pick up, catch, earn, borrow, adopt, make, take, gain, add, "
    "discover, purchase, order, grow, harvest, bake, bring home, inherit, dig up, acquire, obtain, pull out, fetch, grab, "
    "steal, score, save, print, build, put in, get back, bring, unpack, choose, hatch, carry home, take home, rescue, craft, sew, prepare, knit, download, produce, win back"
)
FIRST_GAINS = _phrases(  # that tell a first count
    "buy, buy, get, find, make, bake, collect, pick, receive, catch, gather, win, grow, order, build, print"
)
LOSSES = _phrases(
    "lose, sell, drop, eat, throw away, give away, donate, break, spend, use, use up, waste, return, destroy, burn, "
    "trade away, misplace, hand over, drink, discard, leave behind, cut up, tear, crush, smash, forget, remove, bury, hand "
    "out, share, pay, swallow, toss, throw out, give back, get rid of, set free, take out, recycle, spill, melt, hand in, let go of, swap away, drop off, release, abandon, mail, deliver, delete, finish, eat up, give out, sell off"
)
# Verbs with a receiver: a loss of the subject, a gain of the receiver.
GIVES = _phrases("give, hand, send, lend, sell, pass, bring")
GIVES_TWO = _phrases("give, hand, send, lend, sell, bring")  # "gives Ann 3 coins"
GETS_FROM = _phrases("get, receive, take, borrow, buy, win, steal, collect")  # with "from"
# With "of them" or "of his": a loss of their owner.
TAKES_OF = _phrases("take, steal, borrow, eat, use, break, throw away, lose, sell, buy, hide, win")
GETS_FOR = _phrases("buy, make, find, get, bake")  # "buys her 3 coins"
# By anybody.
POOL_TAKES = _phrases("take, eat, use, break, steal, remove, grab, sell, take away, buy, take out")
POOL_PUTS = _phrases("add, put, put back, place, bring")
PARTICLES = ("away", "back", "home", "out", "up", "off")  # of verbs, also behind the amount
# Things that come and go by themselves.
GOES = _phrases(
    "break, get lost, disappear, vanish, burn, melt, go missing, fly away, pop, rot, run away, roll away, die, "
    "crack, get stolen, go bad, burst, escape, get broken, walk away, swim away, hop away, explode, wither, blow away, fade"
)
COMES = _phrases("arrive, come, appear, turn up, show up, come back")
# Verbs with an object that leave every count as it is.
KEEPS = _phrases(
    "want, see, draw, dream of, count, like, need, wish for, look at, ask for, paint, talk about, read about, "
    "clean, wash, admire, photograph, think about, polish, miss"
)
HABITS = _split("collect love like sell draw make buy")  # "Tom collects coins"
IDLES = _phrases(
    "sing a song, wear a red hat, go home, sleep well, laugh, play outside, ride a bike, drink some tea, feel happy, wait "
    "for the bus, go to school, watch a film, read a letter, run fast, smile, call a friend, take a nap, cook dinner, live "
    "in a big house, work hard, walk to the park, dance, sit down, feel tired, speak with a friend, turn around"
)
WEATHER = _phrases(
    "it is raining, it rains a lot, the days are long, the weather is nice, it is cold outside, the sun shines, the dog "
    "sleeps, it is late, the shop is closed, a bird sings, the street is quiet, it is Monday, the sky is blue, school is "
    "over, it was a nice day, the wind blows, everyone is happy, the bus is late, snow falls, dinner is ready"
)
_FORMS = {  # present, past
    "have": "has had", "own": "owns owned", "hold": "holds held", "hide": "hides hid", "start": "starts started",
    "begin": "begins began", "do": "does did", "buy": "buys bought", "find": "finds found", "get": "gets got",
    "win": "wins won", "catch": "catches caught", "make": "makes made", "take": "takes took", "grow": "grows grew",
    "bring": "brings brought", "dig": "digs dug", "steal": "steals stole", "build": "builds built",
    "draw": "draws drew", "choose": "chooses chose", "put": "puts put", "lose": "loses lost", "sell": "sells sold", "drop": "drops dropped",
    "eat": "eats ate", "throw": "throws threw", "give": "gives gave", "break": "breaks broke", "spend": "spends spent",
    "burn": "burns burned", "hand": "hands handed", "leave": "leaves left", "cut": "cuts cut", "tear": "tears tore",
    "forget": "forgets forgot", "pay": "pays paid", "send": "sends sent", "lend": "lends lent", "show": "shows showed",
    "fall": "falls fell", "go": "goes went", "fly": "flies flew", "pop": "pops popped", "rot": "rots rotted",
    "run": "runs ran", "die": "dies died", "come": "comes came", "see": "sees saw", "dream": "dreams dreamed",
    "think": "thinks thought", "read": "reads read", "sing": "sings sang", "wear": "wears wore", "sleep": "sleeps slept",
    "ride": "rides rode", "drink": "drinks drank", "feel": "feels felt", "watch": "watches watched", "wash": "washes washed",
    "sit": "sits sat", "speak": "speaks spoke", "set": "sets set", "admire": "admires admired", "burst": "bursts burst",
    "wish": "wishes wished", "toss": "tosses tossed", "miss": "misses missed", "crush": "crushes crushed",
    "smash": "smashes smashed", "discard": "discards discarded", "bake": "bakes baked", "fetch": "fetches fetched", "let": "lets let", "feed": "feeds fed", "swim": "swims swam", "hop": "hops hopped",
    "blow": "blows blew", "swap": "swaps swapped", "sew": "sews sewed",
    "bury": "buries buried", "vanish": "vanishes vanished", "grab": "grabs grabbed", "order": "orders ordered",
    "knit": "knits knitted", "finish": "finishes finished", "polish": "polishes polished", "hatch": "hatches hatched", "spill": "spills spilled", "purchase": "purchases purchased",
    "gather": "gathers gathered", "offer": "offers offered", "discover": "discovers discovered", "pass": "passes passed",
}  # fmt: skip

NUMBERS = _split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
AMOUNT_OF = {word: number for number, word in enumerate(NUMBERS)} | {
    "a": 1, "an": 1, "another": 1, "no": 0, "a couple of": 2, "a pair of": 2, "half a dozen": 6, "a dozen": 12,
}  # fmt: skip
VAGUE = _phrases("some, a few, several, many, a lot of, lots of, a handful of, a bunch of")

QUESTION_ENDS = (
    " now",
    " left",
    " at the end",
    " in the end",
    " in total",
    " altogether",
    " in all",
    " today",
    " remaining",
)
OPENINGS = ("at first", "at the beginning,", "in the morning")
LEADS = _phrases(
    "then, later, next, after that, after lunch, in the evening, suddenly, on Monday, today, the next day, afterwards, "
    "on the way home, at noon, now, in the end, a bit later, and then, after school, on Sunday, at last, one day, also, so"
)
TAILS = _phrases(
    "at the market, in the park, on the way home, at school, under the bed, in the garden, today, yesterday, by mistake, "
    "on the street, in the morning, for lunch, at home, in the kitchen, on Monday, at the shop, in the evening, quickly, "
    "on the bus, on lunch, after school, behind the house, at the station, in town, for breakfast, with great care, in a shop, for fun, on the beach, in the forest, near the lake, "
    "on the way to school, at work, at the fair, at the zoo, in the car, at the bakery, on Saturday, on the road, "
    "for the party, as a present, in a game, for dinner, for winter, at the party, in the mountains, in the afternoon, last week"
)
SOURCES = _phrases(
    "from the shop, from the tree, from the shelter, from the library, from the market, from the box, from the garden, "
    "from the internet, from the supermarket, from the floor"
)
FIXES = _phrases(
    "sorry, no, oh wait, wait, actually, oops, I mean, correction, no wait, to be exact, in fact"
)


def form(verb: str, tense: Tense) -> str:
    """A verb phrase in the third person's present, in the past, or as it is."""
    word, *rest = verb.split()
    if tense == "base":
        return verb
    present, past = _FORMS[word].split() if word in _FORMS else _regular(word)
    return " ".join((present if tense == "present" else past, *rest))


def is_known(word: str) -> bool:
    """Whether a word is in the lists."""
    return word in _KNOWN


def _regular(word: str) -> tuple[str, str]:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies", f"{word[:-1]}ied"
    return f"{word}s", f"{word}d" if word.endswith("e") else f"{word}ed"


def plural(thing: str) -> str:
    """The plural of a thing."""
    if thing in _PLURALS:
        return _PLURALS[thing]
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return f"{thing}{'es' if thing.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


_KNOWN = {
    word.lower()
    for phrase in (
        *WOMEN, *MEN, *NEW_WOMEN, *NEW_MEN, *KIN, *KIN_MANY, *OUTSIDERS, *OUTSIDERS_MANY, *ADJECTIVES, *THINGS, *CONTAINERS, *GAINS, *LOSSES, *GIVES, *GETS_FROM, *TAKES_OF,
        *GETS_FOR, *HABITS, *POOL_TAKES, *POOL_PUTS, *POOLS["in"], *POOLS["on"], *GOES, *COMES, *KEEPS, *IDLES, *WEATHER, *AMOUNT_OF, *VAGUE, *LEADS, *TAILS, *SOURCES, *FIXES,
    )
    for word in phrase.split()
}  # fmt: skip
