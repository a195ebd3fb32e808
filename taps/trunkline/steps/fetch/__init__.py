"""Fetch: the one room that knows HTTP. Pages concurrent and in order, within the limit, with retries."""
