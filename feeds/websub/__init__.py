"""Push: a WebSub hub (https://www.w3.org/TR/websub/) for the site's own feeds, and announcements to an external hub.

Invariant: web workers only accept and write requests (`requests`); one worker makes all requests to others (`worker`), and only
through `http`, which connects to addresses that `protocol.is_allowed` allows.

Reading order: protocol (the rules), requests (what a form asks for, topics and their changes), subscriptions (the tables), http
(the client), delivery (one request each, also to an external hub), worker (the loop).
"""
