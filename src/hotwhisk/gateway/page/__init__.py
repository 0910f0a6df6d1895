"""The page: a namespace in the browser, made by the server, live where JavaScript runs."""
