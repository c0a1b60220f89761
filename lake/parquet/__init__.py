"""Scene files as Python workers write them: row groups whose payload pages are copied instead of being encoded again."""
