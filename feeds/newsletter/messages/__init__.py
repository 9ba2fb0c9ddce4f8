"""Make messages: templates and contents become the bytes that a transport sends.

`composer` makes the messages of an issue, `transactional` the single ones (confirmation, receipt). Both render `templates`, and
hand an envelope, header fields and two parts to `mime.build_message`, which `dkim` signs. A digest's parts are joined from
fragments that `mime` encodes once for all readers.
"""
