"""From the frame index to the match plan and the windows that are built from it."""
