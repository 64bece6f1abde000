"""The fast lane: plain requests for lists, answered in the event loop's own call and in one write."""
