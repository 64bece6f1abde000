"""Statistics of use: who asked for which repository, from where, on which day.

A line per list, in MirrorManager's own form: written beside the answers by a `writer`, and summed up later (`reading`,
`summary`, `report`, `plot`). `line` is the form itself, the only place that knows it.
"""
