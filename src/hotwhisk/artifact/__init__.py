"""Handle the one file that holds an action: detect it, read it and unpack it."""
