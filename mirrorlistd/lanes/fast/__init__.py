"""The fast lane: plain lists answered in the event loop's own call."""
