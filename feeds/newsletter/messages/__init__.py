"""Make messages: templates and contents become the bytes that a transport sends.

`composer` makes the messages of an issue, `transactional` the single ones (confirmation, receipt). Both render `templates`, and
hand an envelope, header fields and two encoded parts to `mime.build_message`, which `dkim` signs. `fragments` encodes the text
that digests are joined from, once for all readers.
"""
