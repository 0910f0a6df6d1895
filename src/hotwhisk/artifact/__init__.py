"""One file that holds an action: what it is, what is in it, how it is unpacked."""
