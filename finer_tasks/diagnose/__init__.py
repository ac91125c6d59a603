"""Where a model fails: evidence from along the path of the image is joined, and each concept gets a verdict."""
