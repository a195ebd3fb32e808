"""One run of a tap: its streams in order, one thread that writes, a verdict for each, progress and the report."""
