"""Everything that an answer depends on at one moment: read, judged, built, and swapped by a reload."""
