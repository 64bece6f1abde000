"""A client for mirror lists, `mirrorlist-fetch`, and the reference for authors of other clients.

docs/client.md has the procedure. In order, each module imports only those before it: `errors`; `source` (values),
`metalink` and `lists` (bytes -> values, pure); `exchange` (one request, and why it failed), `part_file` (the unfinished
file), `progress` (reports); `discovery` (a URL -> its list), `parts` (several mirrors at once); `download`; `command`;
`cli`.

The server never imports the client. The packages that it needs are the extra `fetch`:
`pip install 'mirrorlistd[fetch]'`.
"""
