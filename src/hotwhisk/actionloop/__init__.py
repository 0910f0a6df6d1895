"""Programs in other languages: the protocol of ActionLoop, and what their images bring."""
