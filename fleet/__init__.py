"""What vehicles upload: drive folders in the landing layout, made by a seeded generator or by importers of public datasets.

A drive folder is checked before anything of it is sent; the uploader puts the manifest last, so that a drive without a
manifest is a drive that is still on its way.
"""
