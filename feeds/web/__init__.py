"""HTTP: feed documents, pages, the console, limits. Parses requests, calls one use case each, renders templates.

Reading order: `fast_path` (cached documents, before Flask), `rate_limit`, `cache`, `conditional` (RFC 9110, pure); `app` puts
the application together, with `access_log` and `errors` around the `views`; `application` is what views share; `console` has
the operator's pages; `server` runs it all, behind `rsgi`, which reads request bodies within `body_limit`.
"""
