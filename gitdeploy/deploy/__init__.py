"""The story: facts, decision, prepare, flip, verdict; every room is wired here."""
