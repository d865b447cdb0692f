"""Turns what the etalon program measured into pages: reads JSON, computes nothing anew, writes HTML."""
