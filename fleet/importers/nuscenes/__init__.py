"""nuScenes, from its tables and files to a drive folder."""
