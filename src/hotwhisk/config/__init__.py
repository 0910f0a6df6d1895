"""The options of a server, and the frozen configuration that is made of them."""
