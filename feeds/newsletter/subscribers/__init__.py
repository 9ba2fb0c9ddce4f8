"""Subscribers of the newsletter, and all that they and the operator do with a subscription.

| file | what |
|---|---|
| `signup` | sign-up with double opt-in: request a confirmation by mail, within rate limits; confirm |
| `preferences` | what can be chosen; the subscriber's own page, data export, new links, preview |
| `unsubscribe` | unsubscribing, erasing |
| `suppression` | the list of addresses that get no mail, and how a subscription ends on it |
| `importer` | subscribers from a CSV file or one by one, export |
| `records` | rows of subscribers and subscriptions |
| `email_address` | parsing and normalising addresses |

Use cases take a `NewsletterContext`; functions that take a connection run inside the caller's transaction.
"""
