"""The report: one self-contained HTML file, from the accounting to the pictures.

`facts` are its values, `collect` reads them from a deployment, `picture`, `birdseye`, `projection` and `chart` draw, `page`
renders.
"""
