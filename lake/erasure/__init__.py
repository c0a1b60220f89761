"""Removes the rows of one drive from the tables, from what is published now and from every pinned version."""
