"""Run programs in other languages: the protocol of ActionLoop, and the parts of their images."""
