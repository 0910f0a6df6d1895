def shout(text):
    return text.strip().upper() + "!"
