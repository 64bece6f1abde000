"""The fast lane: plain requests for lists, answered inside the event loop's callback and in one write."""
