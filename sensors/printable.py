"""Text from data, safe to show: names of topics, types and frames, keys and file names are chosen by whoever wrote the file.

A terminal obeys control characters, and bidirectional overrides make a line read as something that it does not say.
"""

from __future__ import annotations


def printable(text: str, most: int | None = None, keep: str = "") -> str:
    """`text` with each character that is not printable (Unicode's categories Other and Separator, but for the blank) as its
    escape sequence: controls, bidirectional overrides, zero-width characters, lone surrogates.

    Characters in `keep` stay. Of a text of more than `most` characters, the first ones and the number of the others.
    """
    if most is not None and len(text) > most:
        text = f"{text[:most]}… ({len(text) - most} more characters)"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text)
