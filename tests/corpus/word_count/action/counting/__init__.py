from collections import Counter

from .text import split


def count(text, leave_out):
    return dict(Counter(w for w in split(text) if w not in leave_out).most_common())
