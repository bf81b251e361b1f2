"""From findings to one verdict, one sentence, a recommendation and a forecast."""
