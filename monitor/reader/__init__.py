"""`Api`: reads runs from a server or from the embedded store, with the same results."""
