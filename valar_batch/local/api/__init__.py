"""The API as the local Valar serves it: HTTP, endpoints, surfaces."""
