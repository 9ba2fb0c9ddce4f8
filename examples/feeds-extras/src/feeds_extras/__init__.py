"""What a package can add to feeds: a feed format, a kind of front matter, a mail transport, a source of bounces."""
