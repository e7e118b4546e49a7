"""git's side of a push: what the two hooks read from git and answer to it."""
