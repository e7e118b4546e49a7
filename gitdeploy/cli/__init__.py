"""The command line: one file a verb; each says what it wants and shows what came."""
