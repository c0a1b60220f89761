"""The Iceberg tables: schemas, catalog, the commit of a drive, and reading scenes back."""
