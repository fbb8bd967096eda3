"""Where the next page of a list begins, as clients hand it back."""

from __future__ import annotations

# Base64. In longer alphabets a cursor could be too long for the HTTP server, which refuses it without a problem.
CURSOR = "^[-0-9A-Z_a-z=]*$"
