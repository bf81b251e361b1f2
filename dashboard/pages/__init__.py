"""One file a page; `dashboard/app.py` routes to them."""
