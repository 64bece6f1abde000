"""Statistics of use: a line for each list, in MirrorManager's form, with repository, country and day.

`writer` appends lines beside the answers; `reading`, `summary`, `summary_report` and `plot` sum them up later. Only
`line` knows the form of a line.
"""
