"""The commands of `scenelake`, a module for each family. They parse, ask, print and choose the exit status."""
