"""The report: one HTML file that holds everything it shows, from the accounting to the pictures.

`facts` says what a report knows, `collect` reads it from a deployment, `picture`, `birdseye`, `projection` and `chart`
draw, `page` writes. Nothing in the file points outside of it.
"""
