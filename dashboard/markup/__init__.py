"""HTML of the pages, from what was read: pure functions that fill the templates of `html/`."""
