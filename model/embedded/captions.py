"""The sentences that the model learns: size, colour, style, object and background, said in a few
ways.
"""

from dataclasses import dataclass

from .palette import STYLES


@dataclass(frozen=True, slots=True)
class Wording:
    """Numbers from 0 to 1 that choose between ways to say the same thing."""

    article: float = 1.0
    style: float = 1.0
    background: float = 0.0


def caption(
    noun: str,
    *,
    size: str = "",
    colour: str = "",
    style: str = "",
    background: str = "",
    wording: Wording = Wording(),
) -> str:
    """Say what a picture shows. An empty word is left out; an unnamed style means the first one."""
    leads = bool(style) and wording.style < 0.3
    words = [word for word in (size, colour, style if leads else "", noun) if word]
    phrase = _with_article(" ".join(words), wording.article)
    ending = f", {style} style" if style and not leads else ""
    return phrase + ending + _background_phrase(background, wording.background)


def _with_article(phrase: str, choice: float) -> str:
    if choice < 0.15:
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _background_phrase(background: str, choice: float) -> str:
    if not background:
        return ""
    if choice < 0.7:
        return f" on a {background} background"
    return f", {background} background" if choice < 0.9 else f" on {background}"


def example_prompts() -> tuple[str, ...]:
    """Prompts that show each thing a caption can say; the tool help and the documents use them."""
    return (
        caption("rocket", background="black"),
        caption("fox", style=STYLES[1], background="yellow"),
        caption("balloon", size="small", colour="purple", background="cyan"),
    )
