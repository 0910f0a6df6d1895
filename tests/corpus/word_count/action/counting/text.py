import re


def split(text):
    return re.findall(r"\w+", text.lower())
