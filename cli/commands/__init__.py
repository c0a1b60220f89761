"""The commands of `scenelake`, one module per family. They parse, prompt, print and choose the exit status."""
