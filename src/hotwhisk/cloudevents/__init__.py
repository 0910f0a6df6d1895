"""CloudEvents over HTTP: read an event from a request, write what a handler returned."""
