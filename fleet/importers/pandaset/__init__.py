"""PandaSet sequences to a drive folder."""
