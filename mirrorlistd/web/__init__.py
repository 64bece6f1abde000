"""The ASGI application: pages for people, and the endpoints of operators."""
