"""The way to Valar: control calls by httpx, results by libcurl."""
