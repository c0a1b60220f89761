"""The demo: drives of known quality through the whole stack, followed live, and a report."""
