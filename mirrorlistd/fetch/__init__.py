"""A client for mirror lists, and the reference for those who write another: `mirrorlist-fetch`.

Modules, each of which knows only those before it: `errors`; `source` (the values), `metalink` and `lists` (bytes to
values, pure); `exchange` (one request, and why it failed), `partial` (the file under way) and `watch` (what is told);
`discovery` (a URL to a list) and `parts` (several mirrors at once); `fetch` (the walk down the list); `cli`. The
procedure is told in docs/client.md.

It knows nothing of the server beside it but the root of the errors and the version, and the server nothing of it. It
needs the packages of the extra `fetch`: `pip install 'mirrorlistd[fetch]'`.
"""
