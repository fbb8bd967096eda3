"""What a release consists of, made from this repository; no part of what is released."""
