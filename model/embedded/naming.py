"""Which pictures the model learns, and the words for them.

The data sets name thousands of code points; these tables keep the ones that draw a thing, and
replace the clumsy official names by the word that a person would type.
"""

import re
from typing import Final

CATEGORIES: Final = {
    "Smileys & Emotion": "Faces and hearts",
    "People & Body": "Body and fantasy",
    "Animals & Nature": "Animals and plants",
    "Food & Drink": "Food and drink",
    "Travel & Places": "Travel, places and weather",
    "Activities": "Play and celebration",
    "Objects": "Things",
    "Symbols": "Signs and shapes",
}

# Only these subcategories of two mixed categories draw things; the others are people and text.
SUBCATEGORIES: Final = {
    "Symbols": {"geometric", "warning", "music"},
    "People & Body": {"body-parts", "person-fantasy", "hand-fingers-closed"},
}

# The same picture as another once cropped and scaled (squares by size), or letters.
SKIPPED: Final = {
    "black_medium_square",
    "white_medium_square",
    "black_medium_small_square",
    "white_medium_small_square",
    "black_small_square",
    "white_small_square",
    "small_orange_diamond",
    "small_blue_diamond",
    "abc",
}
SKIPPED_PATTERN: Final = re.compile(
    r"^(clock\d+|male_|female_|.*_hearts_man|.*woman.*|.*_man$|man_.*)"
)

RENAMED: Final = {
    "T-Rex": "t-rex",
    "airplane": "airplane",
    "alarm_clock": "alarm clock",
    "alien": "alien",
    "angry": "annoyed face",
    "apple": "apple",
    "basketball": "basketball",
    "bee": "bee",
    "bike": "bicycle",
    "black_large_square": "black square",
    "boat": "sailboat",
    "boot": "tall boot",
    "bulb": "light bulb",
    "bus": "bus",
    "car": "car",
    "cat": "cat face",
    "closed_book": "book",
    "cloud": "cloud",
    "coffee": "coffee",
    "computer": "laptop",
    "cow": "cow face",
    "crescent_moon": "moon",
    "cry": "sad face",
    "dog": "dog face",
    "doughnut": "donut",
    "drum_with_drumsticks": "drum",
    "email": "envelope",
    "evergreen_tree": "tree",
    "fried_egg": "egg",
    "frog": "frog",
    "gem": "gem",
    "gift": "gift",
    "hamburger": "hamburger",
    "heart": "heart",
    "heart_eyes": "love face",
    "helmet_with_white_cross": "rescue helmet",
    "house": "house",
    "icecream": "ice cream",
    "ladybug": "ladybug",
    "large_blue_diamond": "blue diamond",
    "large_orange_diamond": "orange diamond",
    "lion_face": "lion",
    "lock": "lock",
    "mans_shoe": "leather shoe",
    "panda_face": "panda",
    "pig": "pig face",
    "pizza": "pizza slice",
    "rage": "angry face",
    "robot_face": "robot",
    "sandal": "heeled sandal",
    "sleeping": "sleeping face",
    "smile": "happy face",
    "snake": "snake",
    "snowman": "snowman in snow",
    "snowman_without_snow": "snowman",
    "soccer": "soccer ball",
    "star": "star",
    "steam_locomotive": "train",
    "sunglasses": "cool face",
    "sunny": "sun",
    "tennis": "tennis ball",
    "train2": "commuter train",
    "tropical_fish": "fish",
    "umbrella": "umbrella",
    "unicorn_face": "unicorn",
    "whale": "whale",
    "whale2": "humpback whale",
    "white_large_square": "white square",
    "fish": "river fish",
}

COLOUR_WORDS: Final = frozenset(
    "white black gray grey red orange yellow green teal cyan blue purple pink brown violet".split()
)
OTHER_CAPTION_WORDS: Final = frozenset("small big large flat 3d style background".split())
UNWANTED_WORDS: Final = frozenset(
    "shit shitface turd fart fuck ass sex sexy boobs dick cock gay lgbt despise hate suicide kod "
    "paul".split()
)


def plain_words(text: str) -> str:
    """Lower-case words, digits and hyphens only: what the tokenizer learns."""
    kept = re.sub(r"[^a-z0-9\- ]", " ", text.lower().replace("_", " "))
    return re.sub(r"\s+", " ", kept).strip()


def speaks_of_colour_or_size(phrase: str) -> bool:
    """Say whether a phrase has a word that a caption uses for something else than the object's
    name.
    """
    return bool(set(phrase.split()) & (COLOUR_WORDS | OTHER_CAPTION_WORDS))


def is_usable(phrase: str, longest: int) -> bool:
    words = set(phrase.split())
    return (
        2 < len(phrase) < longest
        and not words & UNWANTED_WORDS
        and not speaks_of_colour_or_size(phrase)
    )


def is_wanted(short_name: str, category: str, subcategory: str) -> bool:
    """Say whether an entry of the data set draws a thing that the model should learn."""
    subcategories = SUBCATEGORIES.get(category)
    return (
        category in CATEGORIES
        and (subcategories is None or subcategory in subcategories)
        and short_name not in SKIPPED
        and not SKIPPED_PATTERN.match(short_name)
    )
