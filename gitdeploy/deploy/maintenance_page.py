"""The page that visitors see during maintenance: one file that needs no other."""

import re
from html import escape, unescape
from typing import Final

__all__ = ["MESSAGE", "message_of", "page_saying"]

MESSAGE: Final = "We are working on this site. It will be back soon."
"""What visitors read where nobody says something else."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="60">
<title>Back soon</title>
<style>
:root {{ color-scheme: light dark; --ink: #1f2933; --paper: #f5f6f8; --bar: #3b7dd8 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e4e8ee; --paper: #14181d; --bar: #6ba4f0 }}
}}
body {{
  margin: 0; min-height: 100vh; display: grid; place-items: center;
  color: var(--ink); background: var(--paper);
  font: 1.125rem/1.6 system-ui, sans-serif;
}}
main {{ max-width: 32rem; padding: 2rem; border-left: .25rem solid var(--bar) }}
h1 {{ margin: 0 0 .5rem; font-size: 2rem; line-height: 1.2 }}
p {{ margin: 0; overflow-wrap: anywhere }}
</style>
</head>
<body><main><h1>Back soon</h1><p>{message}</p></main></body>
</html>
"""


def page_saying(message: str) -> bytes:
    """Return the page; a message is text, whatever looks like markup in it."""
    return _PAGE.format(message=escape(message)).encode("utf-8", "replace")


def message_of(page: bytes) -> str:
    """Return the message of a page that `page_saying` made."""
    found = re.search("<p>(.*)</p>", page.decode("utf-8", "replace"))
    return unescape(found[1]) if found else MESSAGE
