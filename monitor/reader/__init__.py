"""`Api`: reads runs over HTTP or from the embedded store, with the same answers."""
